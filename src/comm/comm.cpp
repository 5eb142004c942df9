#include "moesweep/comm.h"

#include <mpi.h>

#include <climits>
#include <cstdlib>

namespace moesweep {
namespace {

void check(int code, const char* call) {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    MPI_Error_string(code, text, &length);
    fail(Exit::internal, "{}: {}", call, text);
}

std::string broadcast_from(int root, const std::string& text, int rank) {
    auto length = static_cast<std::uint64_t>(text.size());
    check(MPI_Bcast(&length, 1, MPI_UINT64_T, root, MPI_COMM_WORLD), "MPI_Bcast");
    if (length > INT_MAX) fail(Exit::internal, "MPI_Bcast: {} bytes are too many for one message", length);
    std::string out = rank == root ? text : std::string(length, '\0');
    check(MPI_Bcast(out.data(), static_cast<int>(length), MPI_CHAR, root, MPI_COMM_WORLD), "MPI_Bcast");
    return out;
}

}  // namespace

Comm::Comm() {
    check(MPI_Init(nullptr, nullptr), "MPI_Init");
    check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "MPI_Comm_rank");
    check(MPI_Comm_size(MPI_COMM_WORLD, &size_), "MPI_Comm_size");
}

Comm::~Comm() {
    MPI_Finalize();
}

void Comm::together(const std::function<void()>& step) const {
    int code = 0;
    std::string message;
    try {
        step();
    } catch (const Error& error) {
        code = static_cast<int>(error.code());
        message = error.what();
    } catch (const std::exception& error) {
        code = static_cast<int>(Exit::internal);
        message = error.what();
    }
    int first = code == 0 ? size_ : rank_;  // the lowest rank that failed
    check(MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD), "MPI_Allreduce");
    if (first == size_) return;
    check(MPI_Bcast(&code, 1, MPI_INT, first, MPI_COMM_WORLD), "MPI_Bcast");
    throw SharedError(static_cast<Exit>(code), broadcast_from(first, message, rank_));
}

std::string Comm::broadcast(const std::string& text) const {
    return broadcast_from(0, text, rank_);
}

std::vector<std::string> Comm::gather_all(const std::string& text) const {
    std::vector<std::string> all;
    for (int rank = 0; rank < size_; ++rank) all.push_back(broadcast_from(rank, text, rank_));
    return all;
}

std::vector<double> Comm::gather_all(std::span<const double> values) const {
    const int mine = static_cast<int>(values.size());
    std::vector<int> counts(static_cast<std::size_t>(size_)), offsets(counts.size());
    check(MPI_Allgather(&mine, 1, MPI_INT, counts.data(), 1, MPI_INT, MPI_COMM_WORLD), "MPI_Allgather");
    int total = 0;
    for (std::size_t r = 0; r < counts.size(); ++r) {
        offsets[r] = total;
        total += counts[r];
    }
    std::vector<double> all(static_cast<std::size_t>(total));
    check(MPI_Allgatherv(values.data(), mine, MPI_DOUBLE, all.data(), counts.data(), offsets.data(), MPI_DOUBLE,
                         MPI_COMM_WORLD),
          "MPI_Allgatherv");
    return all;
}

bool Comm::any(bool mine) const {
    int value = mine ? 1 : 0;
    check(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD), "MPI_Allreduce");
    return value != 0;
}

void Comm::barrier() const {
    check(MPI_Barrier(MPI_COMM_WORLD), "MPI_Barrier");
}

void Comm::abort(Exit code) const {
    MPI_Abort(MPI_COMM_WORLD, static_cast<int>(code));
    std::_Exit(static_cast<int>(code));  // MPI_Abort may return
}

}  // namespace moesweep
