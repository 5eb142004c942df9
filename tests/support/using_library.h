// Selects a library of products for a scope, with one thread as in a run.
#pragma once
#include <ATen/Parallel.h>

#include "model/products.h"

namespace moesweep {

class Using {
  public:
    explicit Using(ProductLibrary library) {
        product_library() = library;
        at::set_num_threads(1);
    }
    ~Using() {
        product_library() = before_;
        at::set_num_threads(threads_);
    }
    Using(const Using&) = delete;
    Using& operator=(const Using&) = delete;

  private:
    ProductLibrary before_ = product_library();
    int threads_ = at::get_num_threads();
};

}  // namespace moesweep
