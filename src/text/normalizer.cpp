#include "normalizer.h"

#include <utility>

namespace moesweep::text {

AlignedText apply(const Prepend& step, AlignedText text) {
    if (text.empty()) return text;
    text.origin.insert(text.origin.begin(), step.mark.size(), text.origin.front());
    text.bytes.insert(0, step.mark);
    return text;
}

AlignedText apply(const Replace& step, AlignedText text) {
    std::size_t found = text.bytes.find(step.pattern);
    if (found == std::string::npos) return text;
    AlignedText replaced;
    std::size_t copied = 0;
    for (; found != std::string::npos; found = text.bytes.find(step.pattern, copied)) {
        replaced.bytes.append(text.bytes, copied, found - copied);
        replaced.origin.insert(replaced.origin.end(), text.origin.begin() + copied, text.origin.begin() + found);
        copied = found + step.pattern.size();
        replaced.append(step.content, text.origin[copied - 1]);
    }
    replaced.bytes.append(text.bytes, copied);
    replaced.origin.insert(replaced.origin.end(), text.origin.begin() + copied, text.origin.end());
    return replaced;
}

AlignedText normalize(const Normalizer& normalizer, AlignedText text, Marks marks) {
    for (const auto& step : normalizer) {
        if (std::holds_alternative<Nfc>(step)) text = nfc(text);
        if (const auto* replace = std::get_if<Replace>(&step)) text = apply(*replace, std::move(text));
        const auto* prepend = std::get_if<Prepend>(&step);
        if (prepend && marks == Marks::as_in_file) text = apply(*prepend, std::move(text));
    }
    return text;
}

}  // namespace moesweep::text
