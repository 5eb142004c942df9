#include "layer_reader.h"

#include <ATen/ATen.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "convert.h"
#include "stored_form.h"

namespace moesweep {
namespace {

/// Converts those blocks of the plan's parts that a piece holds.
void convert_piece(const LayerPlan& plan, const Piece& piece, std::span<const std::byte> bytes, std::byte* memory) {
    for (std::size_t i = piece.first_part; i < plan.parts.size(); ++i) {
        const auto& [view, dtype, to] = plan.parts[i];
        if (view->file != piece.file || view->offset >= piece.end) break;
        const std::uint64_t begin = std::max(view->offset, piece.begin);
        const std::uint64_t end = std::min(view->offset + view->bytes, piece.end);
        const std::uint64_t first = form_of(*view).elements(begin - view->offset);
        convert(*view, bytes.subspan(begin - piece.begin, end - begin), dtype,
                memory + to + first * at::elementSize(dtype));
    }
}

}  // namespace

at::Tensor map_memory(std::int64_t size) {
    const auto bytes = static_cast<std::size_t>(size);
    void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (data == MAP_FAILED)
        fail(Exit::io, "weights: {} bytes of memory cannot be had: {}", bytes, std::generic_category().message(errno));
    return at::from_blob(
        data, {size}, [bytes](void* mapped) { ::munmap(mapped, bytes); }, at::kByte);
}

void LayerReader::read(const LayerPlan& plan, const at::Tensor& memory, const std::stop_token& stop) {
    for (std::size_t i = 0; i < plan.pieces.size() && !stop.stop_requested(); ++i) {
        const Piece& piece = plan.pieces[i];
        const std::span bytes(piece_.get(), piece.end - piece.begin);
        piece.file->read(piece.begin, bytes);
        bytes_read_ += static_cast<std::int64_t>(bytes.size());
        if (i + 1 < plan.pieces.size()) {
            const Piece& next = plan.pieces[i + 1];
            next.file->read_ahead(next.begin, next.end - next.begin);
        }
        convert_piece(plan, piece, bytes, static_cast<std::byte*>(memory.data_ptr()));
        if (drop_cached_) {
            // From a piece before: what the cache holds across the border of two pieces stays when the first is
            // dropped.
            const std::uint64_t begin = piece.begin - std::min(piece.begin, most_piece_bytes);
            piece.file->drop_cached(begin, piece.end - begin);
        }
    }
}

}  // namespace moesweep
