// Products of a tile of rows: the same bits wherever a row lies, by either library.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "../src/model/products.h"
#include "catch_beside_torch.h"
#include "moesweep/layers.h"

using namespace moesweep;

namespace {

/// A library for the rest of a test, one thread as in a run.
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

  private:
    ProductLibrary before_ = product_library();
    int threads_ = at::get_num_threads();
};

at::Tensor product_of(const at::Tensor& x, const at::Tensor& weight) {
    const at::Tensor product = at::empty({x.size(0), weight.size(0)}, x.options());
    multiply(x, weight, product);
    return product;
}

}  // namespace

TEST_CASE("a row's product depends neither on its place nor on its company", "[products]") {
    at::manual_seed(1);
    for (const auto& [in, out] : {std::pair{2048, 512}, {768, 512}, {14336, 64}, {100, 300}, {24, 9}}) {
        const at::Tensor x = at::randn({row_tile, in}), weight = at::randn({out, in});
        for (const ProductLibrary library : product_libraries()) {
            const Using it(library);
            INFO(in << " to " << out << " by library " << static_cast<int>(library));
            const at::Tensor whole = product_of(x, weight);
            for (std::int64_t shift = 1; shift < row_tile; ++shift)
                CHECK(at::equal(product_of(x.roll(shift, 0), weight).roll(-shift, 0), whole));
            for (std::int64_t row = 0; row < row_tile; row += 7) {  // a padded tile
                at::Tensor alone = at::zeros_like(x);
                alone[row] = x[row];
                CHECK(at::equal(product_of(alone, weight)[row], whole[row]));
            }
        }
    }
}

TEST_CASE("either library's product is the product", "[products]") {
    at::manual_seed(2);
    for (const auto& [in, out] : {std::pair{2048, 512}, {14336, 64}, {100, 300}, {24, 9}}) {
        const at::Tensor x = at::randn({row_tile, in}), weight = at::randn({out, in});
        const at::Tensor exact = at::mm(x.to(at::kDouble), weight.to(at::kDouble).t());
        // Of n roundings by 2^-24 that are independent and have no bias: sqrt(n) 2^-24 |x| |w| (Higham and Mary, 2019).
        const at::Tensor most = at::mm(x.abs(), weight.abs().t()).mul_(std::sqrt(double(in)) * 0x1p-24 + 0x1p-23);
        for (const ProductLibrary library : product_libraries()) {
            const Using it(library);
            INFO(in << " to " << out << " by library " << static_cast<int>(library));
            CHECK((product_of(x, weight).to(at::kDouble) - exact).abs().le(most).all().item<bool>());
        }
    }
}

TEST_CASE("a product goes where it is wanted, and is added there", "[products]") {
    for (const ProductLibrary library : product_libraries()) {
        const Using it(library);
        for (const auto dtype : {at::kFloat, at::kDouble}) {
            const at::Tensor x = at::randint(-9, 9, {row_tile, 24}, dtype), weight = at::randint(-9, 9, {5, 24}, dtype);
            const at::Tensor exact = x.matmul(weight.t()), wide = at::zeros({row_tile, 8}, dtype);
            multiply(x, weight, wide.narrow(1, 2, 5));
            CHECK(at::equal(wide.narrow(1, 2, 5), exact));
            multiply_and_add(x, weight, wide.narrow(1, 2, 5));
            CHECK(at::equal(wide.narrow(1, 2, 5), 2 * exact));
            for (const int untouched : {0, 1, 7}) CHECK(wide.select(1, untouched).eq(0).all().item<bool>());
        }
    }
}
