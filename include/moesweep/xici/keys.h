// What an XICI run depends on (arXiv 2603.17102): the sections of every method and its own, each a group of keys.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "moesweep/config/keys.h"
#include "moesweep/model/model_config.h"
#include "moesweep/stats/mann_whitney.h"

namespace moesweep {

enum class Chat { automatic, none, custom };       ///< by the model's chat template, not at all, by the keys beside it
enum class CaptureTokens { all, prompt, answer };  ///< over which a sequence's gate weights are averaged
enum class RateBy { exact, model, file };

/// The defaults are the paper's where it gives one. questions.path has none: it stays empty, and a command that needs
/// it says so.
struct XiciConfig : RunConfig {
    struct Questions {
        std::string path;                    ///< JSON lines (xici/questions.h)
        std::vector<std::string> datasets;   ///< those asked; empty: all
        std::vector<std::string> languages;  ///< those asked; empty: all
        std::int64_t limit = 0;              ///< questions of each dataset, the first ones of the file; 0 = all
    } questions;
    struct Ask {
        std::string system = "In just a few words, answer in the language of the question.";  ///< empty: none
        Chat chat = Chat::automatic;
        std::string prefix, infix, suffix;  ///< around system text and question (ask.chat = custom); \n is a line's end
        std::int64_t max_tokens = 64;       ///< of an answer
    } ask;
    struct Capture {
        CaptureTokens tokens = CaptureTokens::all;
    } capture;
    struct Rate {
        RateBy by = RateBy::exact;
        std::string model;  ///< the rater's folder (rate.by = model)
        bool chat = true;   ///< asked in its chat form, else in bare text
        /// What it is told first; empty: nothing.
        std::string system =
            "You grade short answers to factual questions. Reply with one word: YES if the answer states the same fact "
            "as the reference answer, NO if it does not.";
        /// What it is asked, with {question}, {reference} and {answer}.
        std::string prompt =
            "Question: {question}\nReference answer: {reference}\nAnswer to grade: {answer}\n\nDoes the answer to "
            "grade "
            "state the same fact as the reference answer, whatever its language, spelling or length? Reply with YES or "
            "NO only.";
        std::string file;  ///< ratings as JSON lines (rate.by = file)
    } rate;
    struct Identify {
        std::vector<std::string> languages;  ///< contrasted; the others are held out; empty: all
        std::optional<LayerList> layers;     ///< none: an eighth of the layers is left out at each end, as in the paper
        double blacklist_top = 0.01;         ///< an expert among this share of the most weighed ones ...
        double blacklist_share = 0.05;       ///< ... in more than this share of a dataset's sequences is left out
        bool subtract_mean = true;           ///< eq. 2
        PValue p_value = PValue::normal;
        double alpha = 0.05;
        std::optional<double> tau;  ///< the difference of medians must exceed it; none: by the router (identify.h)
        std::int64_t cap = 25;      ///< experts of a question
    } identify;
    struct Deactivate {
        Deactivation by = Deactivation::minimum;
        std::int64_t draws = 1;          ///< random sets of each question
        std::int64_t seed = 0;           ///< of all that is drawn or shuffled
        bool random_blacklisted = true;  ///< whether random sets may hold blacklisted experts
        bool shuffled = true;            ///< another question's set, within the dataset
        bool same_relation = false;      ///< another question's set, of the same relation
        bool permuted = false;           ///< the set that is identified after right and wrong are permuted
        bool singles = false;            ///< each identified expert alone
        NumberList<std::int64_t> caps;   ///< further caps (Figure 2)
    } deactivate;
};

/// All keys, section by section, in the order of configs/reference-xici.ini.
Keys keys(XiciConfig& config);

}  // namespace moesweep
