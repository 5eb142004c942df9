// Products of a tile of rows: the same bits wherever a row lies and whatever signals come, by either library.
#include <ATen/ATen.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>
#include <vector>

#include "catch_beside_torch.h"
#include "moesweep/model/row_arithmetic.h"
#include "using_library.h"

using namespace moesweep;

namespace {

#if defined(__x86_64__)
// Signals that interrupted this thread, and those that found its stack pointer elsewhere than on its stack.
std::atomic<int> interrupted = 0, astray = 0;
const char *stack_begin = nullptr, *stack_end = nullptr;

void look_at_stack_pointer(int, siginfo_t*, void* context) {
    const auto pointer = static_cast<const ucontext_t*>(context)->uc_mcontext.gregs[REG_RSP];
    const auto* top = reinterpret_cast<const char*>(pointer);
    ++interrupted;
    if (top < stack_begin || top >= stack_end) ++astray;
}

/// Signals for this thread, as fast as another one can send them, for as long as it lives. Their handler has a stack of
/// its own, so that it harms nothing.
class Interrupted {
  public:
    Interrupted() {
        interrupted = astray = 0;
        pthread_attr_t attributes;
        void* begin = nullptr;
        std::size_t size = 0;
        REQUIRE(::pthread_getattr_np(::pthread_self(), &attributes) == 0);
        ::pthread_attr_getstack(&attributes, &begin, &size);
        ::pthread_attr_destroy(&attributes);
        stack_begin = static_cast<char*>(begin);
        stack_end = stack_begin + size;

        const stack_t own{.ss_sp = handlers_stack_.data(), .ss_flags = 0, .ss_size = handlers_stack_.size()};
        REQUIRE(::sigaltstack(&own, &stack_before_) == 0);
        struct sigaction action {};
        action.sa_sigaction = look_at_stack_pointer;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
        REQUIRE(::sigaction(SIGUSR2, &action, &action_before_) == 0);
        sender_ = std::thread([this, target = ::pthread_self()] {
            while (!enough_) {
                ::pthread_kill(target, SIGUSR2);
                std::this_thread::sleep_for(std::chrono::microseconds(50));
            }
        });
    }
    ~Interrupted() {
        enough_ = true;
        sender_.join();
        ::sigaction(SIGUSR2, &action_before_, nullptr);
        ::sigaltstack(&stack_before_, nullptr);
    }

  private:
    std::vector<char> handlers_stack_ = std::vector<char>(1 << 18);
    stack_t stack_before_{};
    struct sigaction action_before_ {};
    std::atomic<bool> enough_ = false;
    std::thread sender_;
};
#endif

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

TEST_CASE("a product goes where it is wanted", "[products]") {
    for (const ProductLibrary library : product_libraries()) {
        const Using it(library);
        for (const auto dtype : {at::kFloat, at::kDouble}) {
            const at::Tensor x = at::randint(-9, 9, {row_tile, 24}, dtype), weight = at::randint(-9, 9, {5, 24}, dtype);
            const at::Tensor exact = x.matmul(weight.t()), wide = at::zeros({row_tile, 8}, dtype);
            multiply(x, weight, wide.narrow(1, 2, 5));
            CHECK(at::equal(wide.narrow(1, 2, 5), exact));
            for (const int untouched : {0, 1, 7}) CHECK(wide.select(1, untouched).eq(0).all().item<bool>());
        }
    }
}

TEST_CASE("rows in fp32 meet a matrix in bf16 as they meet its copy in fp32", "[products]") {
    at::manual_seed(4);
    for (const auto& [in, out] : {std::pair{2048, 1200}, {768, 512}, {14336, 64}, {100, 300}, {24, 9}}) {
        const at::Tensor x = at::randn({100, in}), weight = at::randn({out, in}).to(at::kBFloat16);
        for (const ProductLibrary library : product_libraries()) {
            const Using it(library);
            INFO(in << " to " << out << " by library " << static_cast<int>(library));
            const at::Tensor wide = project(x, weight.to(at::kFloat), {}, Precision::fp32);
            CHECK(at::equal(project(x, weight, {}, Precision::split), wide));
            CHECK_FALSE(at::equal(project(x, weight, {}, Precision::fast), wide));
        }
    }
}

#if defined(__x86_64__)
TEST_CASE("a signal finds the stack pointer on the stack whatever product it interrupts, and changes nothing",
          "[products]") {
    at::manual_seed(3);
    // Of these, 128 to 64 and 96 to 96 were found astray with AVX-512, 768 to 512 and 14336 to 64 with AVX2.
    for (const auto& [in, out] : {std::pair{128, 64}, {96, 96}, {768, 512}, {14336, 64}, {100, 300}, {24, 9}}) {
        const at::Tensor x = at::randn({row_tile, in}), weight = at::randn({out, in});
        for (const ProductLibrary library : product_libraries()) {
            const Using it(library);
            INFO(in << " to " << out << " by library " << static_cast<int>(library));
            const at::Tensor undisturbed = product_of(x, weight);
            bool same = true;
            {
                const Interrupted often;
                while (interrupted < 300) same = same && at::equal(product_of(x, weight), undisturbed);
            }
            CHECK(astray == 0);
            CHECK(same);
        }
    }
}
#endif
