// Linked into a program, this makes oneDNN compute its fp32 products on any processor.
#include "model/products.h"

namespace {

// If libtorch lacks oneDNN, product_libraries() has no second one, and the program ends rather than print wrong
// results.
[[maybe_unused]] const auto chosen = moesweep::product_library() = moesweep::product_libraries().at(1);

}  // namespace
