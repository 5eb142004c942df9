#include "convert.h"

#include "moesweep/base/error.h"
#include "stored_form.h"

namespace moesweep {

void convert(const TensorView& view, std::span<const std::byte> bytes, at::ScalarType dtype, void* to) {
    const StoredForm& form = form_of(view);
    bool finite = false;
    if (dtype == at::kDouble)
        finite = form.to_double(bytes, static_cast<double*>(to));
    else if (dtype == at::kFloat)
        finite = form.to_float(bytes, static_cast<float*>(to));
    else if (dtype == at::kBFloat16 && form.to_bf16)
        finite = form.to_bf16(bytes, static_cast<std::uint16_t*>(to));
    else
        fail(Exit::internal, "{}: {}: {} cannot become {}", view.where(), view.name, view.dtype, c10::toString(dtype));
    if (!finite) fail(Exit::data, "{}: {}: holds a NaN or an infinity", view.where(), view.name);
}

}  // namespace moesweep
