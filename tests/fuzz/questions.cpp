// The questions file; whatever it says is also rated.
#include "moesweep/xici/questions.h"
#include "fuzz.h"
#include "moesweep/xici/rate.h"

using namespace moesweep;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Scratch folder;
    fuzz::write(folder / "questions.jsonl", fuzz::text_of({data, size}));
    fuzz::expect_value_or_error([] {
        for (const Question& question : read_questions(folder / "questions.jsonl"))
            for (const Variant& variant : question.variants)
                is_right(variant.question, variant.answers, variant.language);
    });
    return 0;
}
