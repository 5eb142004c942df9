#include "moesweep/engine/decode.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <list>

#include "decode_batch.h"
#include "moesweep/model/device_errors.h"

namespace moesweep {
namespace {

/// Tokens that the longest sequence feeds.
std::int64_t longest(std::span<const Prompt> prompts, std::int64_t max_tokens) {
    std::int64_t most = 1;
    for (const Prompt& prompt : prompts)
        most = std::max(most, cache_rows_of(static_cast<std::int64_t>(prompt.tokens.size()), max_tokens));
    return most;
}

class Decoder {
  public:
    Decoder(const Engine& engine, std::span<const Prompt> prompts, const DecodePlan& plan)
        : engine_(engine),
          prompts_(prompts),
          plan_(plan),
          rotary_(config().rope, longest(prompts, plan.max_tokens), engine.weights.precision(),
                  engine.weights.device()),
          cache_(engine.weights, prompts.empty() ? 0 : plan.cache_rows),
          answers_(prompts.size()) {
        control_.on_progress = [this](double, std::int64_t rows) {
            plan_.control.on_progress(double(ended_) / double(std::max<std::size_t>(prompts_.size(), 1)), rows);
        };
    }

    /// Takes every sequence in flight a token further. False if the group agreed to stop.
    bool step(Traffic& traffic) {
        admit();
        std::deque<DecodeBatch> batches = cut();
        if (!pass_layers(engine_, batches, control_, traffic)) return false;
        for (DecodeBatch& batch : batches) {
            batch.answer();
            control_.tick();
        }
        retire();
        return true;
    }

    /// Whether a rank of the group has something left to do. All call it.
    bool going_on() const { return engine_.group.any(ended_ < prompts_.size()); }

    std::vector<Answer> answers() && { return std::move(answers_); }

  private:
    const ModelConfig& config() const { return engine_.weights.config(); }

    /// Lets waiting prompts in while the cache has room for all that they may become.
    void admit() {
        for (; begun_ < prompts_.size(); ++begun_) {
            const Prompt& prompt = prompts_[begun_];
            const std::int64_t rows = rows_of(prompt);
            const auto begin = cache_.reserve(rows);
            if (!begin && in_flight_.empty()) fail(Exit::internal, "a cache of {} rows for {}", plan_.cache_rows, rows);
            if (!begin) return;
            in_flight_.push_back({&prompt, &answers_[begun_], *begin});
            InFlight& sequence = in_flight_.back();
            sequence.deactivated.resize(static_cast<std::size_t>(config().num_hidden_layers));
            for (const auto& [layer, expert] : prompt.deactivated)
                sequence.deactivated[static_cast<std::size_t>(layer)].push_back(expert);
            const auto pairs = static_cast<std::size_t>(config().num_hidden_layers * config().router.num_experts);
            if (plan_.capture)
                for (GateWeights* weights : {&sequence.answer->of_prompt, &sequence.answer->of_answer})
                    weights->sum.resize(pairs);
        }
    }

    /// New sequences and others, each cut into micro-batches; as many on every rank of the group.
    std::deque<DecodeBatch> cut() {
        std::deque<DecodeBatch> batches;
        std::vector<InFlight*> some;
        std::int64_t rows = 0;
        const auto close = [&] {
            if (!some.empty()) add(batches, std::move(some));
            some = {};
            rows = 0;
        };
        for (const bool new_ones : {true, false}) {
            for (InFlight& sequence : in_flight_) {
                if (sequence.is_new() != new_ones) continue;
                if (rows + sequence.rows() > plan_.step_rows) close();
                some.push_back(&sequence);
                rows += sequence.rows();
            }
            close();
        }
        double most = 0;
        for (const double count : engine_.group.gather_all(std::vector<double>{double(batches.size())}))
            most = std::max(most, count);
        while (double(batches.size()) < most) add(batches, {});
        return batches;
    }

    void add(std::deque<DecodeBatch>& batches, std::vector<InFlight*> sequences) {
        batches.emplace_back(engine_.weights, rotary_, cache_, plan_, std::move(sequences));
    }

    std::int64_t rows_of(const Prompt& prompt) const {
        return cache_rows_of(static_cast<std::int64_t>(prompt.tokens.size()), plan_.max_tokens);
    }

    void retire() {
        std::erase_if(in_flight_, [&](const InFlight& sequence) {
            const Answer& answer = *sequence.answer;
            if (!answer.stopped && static_cast<std::int64_t>(answer.tokens.size()) < plan_.max_tokens) return false;
            cache_.release(sequence.cache_begin, rows_of(*sequence.prompt));
            ++ended_;
            return true;
        });
    }

    const Engine& engine_;
    std::span<const Prompt> prompts_;
    const DecodePlan& plan_;
    PassControl control_ = plan_.control;
    Rotary rotary_;
    KvCache cache_;
    std::vector<Answer> answers_;
    std::list<InFlight> in_flight_;
    std::size_t begun_ = 0, ended_ = 0;
};

}  // namespace

std::optional<std::vector<Answer>> decode(const Engine& engine, std::span<const Prompt> prompts, const DecodePlan& plan,
                                          Traffic* traffic) {
    const c10::InferenceMode no_autograd;
    Traffic unasked;
    std::optional<std::vector<Answer>> answers;
    on_device(engine.weights.device(), [&] {
        Decoder decoder(engine, prompts, plan);
        while (decoder.going_on())
            if (!decoder.step(traffic ? *traffic : unasked)) return;
        answers = std::move(decoder).answers();
    });
    return answers;
}

}  // namespace moesweep
