// Linked into a program, makes its fp32 products oneDNN's whatever the processor, as in a run on one where they are.
#include "model/products.h"

namespace {

// product_libraries() has no second one where libtorch lacks oneDNN: such a program ends before it says something
// untrue.
[[maybe_unused]] const auto chosen = moesweep::product_library() = moesweep::product_libraries().at(1);

}  // namespace
