// tokenizer.json, a text, tokenizer_config.json and config.json, with a byte 0xff between them.
#include "moesweep/text/tokenizer.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "fuzz.h"
#include "moesweep/text/chat_template.h"
#include "moesweep/text/stop_tokens.h"

using namespace moesweep;

namespace {

/// Ids that have a piece, and spans that lie in order inside the text.
void expect_sound(const Tokenizer& tokenizer, std::string_view text) {
    const Encoding encoding = tokenizer.encode(text);
    for (std::size_t i = 0; i < encoding.ids.size(); i++) {
        tokenizer.piece(encoding.ids[i]);
        const std::int32_t begin = encoding.begin.at(i), end = encoding.end.at(i);
        if (begin < 0 || end < begin || end > static_cast<std::int32_t>(text.size())) std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Scratch folder;
    std::string_view input = fuzz::text_of({data, size});
    fuzz::write(folder / "tokenizer.json", fuzz::take_part(input));
    const std::string_view text = fuzz::take_part(input);
    fuzz::write(folder / "tokenizer_config.json", fuzz::take_part(input));
    fuzz::write(folder / "config.json", input);
    fuzz::expect_value_or_error([&] {
        const Tokenizer tokenizer(folder.folder());
        fuzz::expect_value_or_error([&] { tokenizer.default_bos(); });
        fuzz::expect_value_or_error([&] { tokenizer.bos(); });
        fuzz::expect_value_or_error([&] { expect_sound(tokenizer, "It's in  S\xc3\xa3o <s> 1992,\n\xe6\x97\xa5."); });
        fuzz::expect_value_or_error([&] { stop_tokens(folder.folder(), tokenizer); });
        fuzz::expect_value_or_error([&] { find_chat_template(folder.folder()); });
        std::vector<std::int32_t> ids(std::min(tokenizer.size(), 1000));
        std::iota(ids.begin(), ids.end(), 0);
        fuzz::expect_value_or_error([&] { tokenizer.decode(ids, true); });
        tokenizer.single_token_after_space(text);
        tokenizer.single_token_bare(text);
        expect_sound(tokenizer, text);
    });
    return 0;
}
