// Rows to exchange; every rank can compute what the others send.
#pragma once
#include <ATen/ATen.h>

#include <cstdint>
#include <random>
#include <vector>

#include "moesweep/comm/comm.h"

namespace moesweep {

using Counts = std::vector<std::vector<std::int64_t>>;  // [from][to]

enum class Shape { random, none, to_one, from_one };

/// Rows that each rank sends to each, the same on all ranks.
inline Counts make_counts(int ranks, Shape shape, std::mt19937& random) {
    Counts counts(static_cast<std::size_t>(ranks), std::vector<std::int64_t>(static_cast<std::size_t>(ranks)));
    for (std::size_t from = 0; from < counts.size(); ++from)
        for (std::size_t to = 0; to < counts.size(); ++to) {
            const auto n = static_cast<std::int64_t>(random() % 50);
            const bool empty = shape == Shape::none || (shape == Shape::to_one && to != counts.size() - 1) ||
                               (shape == Shape::from_one && from != 0) || random() % 4 == 0;
            counts[from][to] = empty ? 0 : shape == Shape::random ? n : 40 * n;
        }
    return counts;
}

inline double value(int from, int to, std::int64_t row, std::int64_t column) {
    return from * 1e6 + to * 1e5 + static_cast<double>(row) * 7 + static_cast<double>(column);
}

/// The rows that `from` sends to `to`: [n, width].
inline at::Tensor rows_between(int from, int to, std::int64_t n, std::int64_t width, at::ScalarType dtype) {
    const at::Tensor rows = at::empty({n, width}, at::kDouble);
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < width; ++j) rows.data_ptr<double>()[i * width + j] = value(from, to, i, j);
    return rows.to(dtype);
}

struct Transfer {
    at::Tensor sent, expected;
    std::vector<std::int64_t> send, receive;
};

inline Transfer make_transfer(const Comm& comm, const Counts& counts, std::int64_t width, at::ScalarType dtype) {
    Transfer t;
    std::vector<at::Tensor> out, in;
    for (int r = 0; r < comm.size(); ++r) {
        const auto me = static_cast<std::size_t>(comm.rank()), other = static_cast<std::size_t>(r);
        t.send.push_back(counts[me][other]);
        t.receive.push_back(counts[other][me]);
        out.push_back(rows_between(comm.rank(), r, t.send.back(), width, dtype));
        in.push_back(rows_between(r, comm.rank(), t.receive.back(), width, dtype));
    }
    t.sent = at::cat(out);
    t.expected = at::cat(in);
    return t;
}

}  // namespace moesweep
