#include "moesweep/xici/keys.h"

namespace moesweep {
namespace {

Keys questions_keys(XiciConfig::Questions& questions) {
    return {
        path_key(MOESWEEP_KEY(questions.path), "questions as JSON lines; a run needs them"),
        words_key(MOESWEEP_KEY(questions.datasets), part_of_identity, "datasets asked, such as a,b; empty = all"),
        words_key(MOESWEEP_KEY(questions.languages), part_of_identity,
                  "languages (labels of variants) asked, such as en,de; empty = all"),
        integer_key(MOESWEEP_KEY(questions.limit), part_of_identity, 0,
                    "questions of each dataset, the first ones of the file; 0 = all"),
    };
}

Keys ask_keys(XiciConfig::Ask& ask) {
    return {
        text_key(
            MOESWEEP_KEY(ask.system), part_of_identity,
            "system text before each question, empty = none; in a text \\n is a line's end, \\s a blank at an end"),
        choice_key(
            MOESWEEP_KEY(ask.chat), part_of_identity, {"auto", "none", "custom"},
            "chat form: auto (by the model's chat template), none (the bare question) or custom (the keys below)"),
        text_key(MOESWEEP_KEY(ask.prefix), part_of_identity, "text before the system text (ask.chat = custom)"),
        text_key(MOESWEEP_KEY(ask.infix), part_of_identity,
                 "text between the system text and the question (ask.chat = custom)"),
        text_key(MOESWEEP_KEY(ask.suffix), part_of_identity, "text behind the question (ask.chat = custom)"),
        integer_key(MOESWEEP_KEY(ask.max_tokens), part_of_identity, 1, "tokens of an answer at most"),
    };
}

Keys capture_keys(XiciConfig::Capture& capture) {
    return {choice_key(MOESWEEP_KEY(capture.tokens), free_to_change, {"all", "prompt", "answer"},
                       "tokens over which a sequence's gate weights are averaged: all, prompt or answer")};
}

Keys rate_keys(XiciConfig::Rate& rate) {
    return {
        choice_key(MOESWEEP_KEY(rate.by), free_to_change, {"exact", "model", "file"},
                   "who says whether an answer is right: exact (it holds a reference answer), model or file"),
        path_key(MOESWEEP_KEY(rate.model), "folder of the rater, a Hugging Face checkpoint (rate.by = model)"),
        choice_key(MOESWEEP_KEY(rate.chat), free_to_change, {"none", "auto"},
                   "chat form of the rater: auto (by its chat template) or none (system text, a line's end, prompt)"),
        text_key(MOESWEEP_KEY(rate.system), free_to_change, "system text of the rater, empty = none"),
        text_key(MOESWEEP_KEY(rate.prompt), free_to_change,
                 "what the rater is asked, with {question}, {reference} and {answer}; it replies YES or NO"),
        path_key(MOESWEEP_KEY(rate.file), "ratings as JSON lines, by id and language (rate.by = file)"),
    };
}

Keys identify_keys(XiciConfig::Identify& identify) {
    return {
        words_key(MOESWEEP_KEY(identify.languages), free_to_change,
                  "languages (labels of variants) contrasted, such as en,de; the others are held out; empty = all"),
        layers_key(MOESWEEP_KEY(identify.layers), "auto", free_to_change,
                   "decoder layers in which experts are sought: all, layers such as 6-41, or auto (an eighth of the "
                   "layers left out at each end)"),
        share_key(MOESWEEP_KEY(identify.blacklist_top), free_to_change,
                  "an expert among this share of a sequence's most weighed experts ..."),
        share_key(MOESWEEP_KEY(identify.blacklist_share), free_to_change,
                  "... in more than this share of a dataset's sequences is blacklisted"),
        choice_key(MOESWEEP_KEY(identify.subtract_mean), free_to_change, {"no", "yes"},
                   "subtract the mean weight of the dataset and language (eq. 2): yes or no"),
        choice_key(MOESWEEP_KEY(identify.p_value), free_to_change, {"normal", "exact"},
                   "p of the U test: normal (approximation, corrected for ties and continuity) or exact (for no ties)"),
        share_key(MOESWEEP_KEY(identify.alpha), free_to_change, "p must be below it"),
        automatic_key(MOESWEEP_KEY(identify.tau), free_to_change,
                      "the difference of medians must exceed it; auto: 0.01 for sigmoid routers, 0.005 for softmax"),
        integer_key(MOESWEEP_KEY(identify.cap), free_to_change, 1, "experts of a question at most"),
    };
}

Keys deactivate_keys(XiciConfig::Deactivate& deactivate) {
    return {
        choice_key(MOESWEEP_KEY(deactivate.by), free_to_change, {"minimum", "minus-infinity", "ban"},
                   "a deactivated expert's logit becomes its row's minimum or minus-infinity, or the choice skips the "
                   "expert (ban)"),
        integer_key(MOESWEEP_KEY(deactivate.draws), free_to_change, 0,
                    "random sets of each question, as large as its identified set", 1000),
        seed_key(MOESWEEP_KEY(deactivate.seed), free_to_change, "seed of all sets that are drawn or shuffled"),
        choice_key(MOESWEEP_KEY(deactivate.random_blacklisted), free_to_change, {"no", "yes"},
                   "whether random sets may hold blacklisted experts: yes or no"),
        choice_key(MOESWEEP_KEY(deactivate.shuffled), free_to_change, {"no", "yes"},
                   "deactivate another question's experts, of the same dataset: yes or no"),
        choice_key(MOESWEEP_KEY(deactivate.same_relation), free_to_change, {"no", "yes"},
                   "deactivate another question's experts, of the same relation: yes or no"),
        choice_key(MOESWEEP_KEY(deactivate.permuted), free_to_change, {"no", "yes"},
                   "deactivate experts identified after right and wrong are permuted in each question: yes or no"),
        choice_key(MOESWEEP_KEY(deactivate.singles), free_to_change, {"no", "yes"},
                   "deactivate each identified expert alone: yes or no"),
        list_key(MOESWEEP_KEY(deactivate.caps), free_to_change,
                 "further caps whose sets are deactivated (Figure 2), such as 5,15,35; empty = none"),
    };
}

}  // namespace

Keys keys(XiciConfig& config) {
    return joined({model_keys(config.model), questions_keys(config.questions), ask_keys(config.ask),
                   capture_keys(config.capture), rate_keys(config.rate), identify_keys(config.identify),
                   deactivate_keys(config.deactivate), stats_keys(config.stats), parallel_keys(config.parallel),
                   run_keys(config.run)});
}

}  // namespace moesweep
