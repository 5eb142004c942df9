// A file of ratings of three answers.
#include "fuzz.h"
#include "moesweep/xici/rating_file.h"

using namespace moesweep;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Scratch folder;
    static const std::vector<AnswerToRate> answers = {{"a", "de", "asked", "Was?", {"Eins"}, "Eins."},
                                                      {"a", "de", "xici", "Was?", {"Eins"}, "Zwei."},
                                                      {"7", "id", "asked", "Apa?", {"Satu"}, ""}};
    fuzz::write(folder / "ratings.jsonl", fuzz::text_of({data, size}));
    fuzz::expect_value_or_error([] { read_ratings(folder / "ratings.jsonl", answers); });
    return 0;
}
