#include <algorithm>

#include "results.h"

namespace moesweep {
namespace {

std::int64_t kept_of(const Findings& f, const QuestionExperts& question) {
    return std::min<std::int64_t>(std::ssize(question.candidates), f.config.identify.cap);
}

}  // namespace

ResultTable identified_table(const Findings& f) {
    struct Line {
        std::string dataset;
        std::int64_t blacklisted = 0, mixed = 0, with_experts = 0, experts = 0, capped = 0, tested = 0, significant = 0;
    };
    std::vector<Line> lines;
    for (const auto& part : f.parts()) {
        Line line{part.name};
        for (const DatasetContrast* dataset : part.datasets) {
            line.blacklisted += std::ssize(dataset->identified.blacklist);
            for (const QuestionExperts& question : dataset->identified.questions) {
                line.mixed += question.right > 0 && question.wrong > 0;
                line.with_experts += !question.candidates.empty();
                line.experts += kept_of(f, question);
                line.capped += kept_of(f, question) < std::ssize(question.candidates);
                line.tested += question.tested;
                line.significant += question.significant;
            }
        }
        lines.push_back(line);
    }
    const auto ratio = [&](std::int64_t Line::*part, std::int64_t Line::*whole) {
        return values_of(lines, [=](const Line& l) { return double(l.*part) / double(l.*whole); });
    };
    return {"identified",
            "Experts identified",
            {{"dataset", "", "its name; all: all of them", values_of(lines, &Line::dataset)},
             {"mixed", "", "questions with right and wrong answers", values_of(lines, &Line::mixed)},
             {"blacklisted", "", "experts left out as generalists; all: summed", values_of(lines, &Line::blacklisted)},
             {"questions", "", "questions with experts", values_of(lines, &Line::with_experts)},
             {"experts", "", "experts of such a question, on average", ratio(&Line::experts, &Line::with_experts)},
             {"capped", "", "questions whose experts identify.cap cuts", values_of(lines, &Line::capped)},
             {"tested", "", "U tests", values_of(lines, &Line::tested)},
             {"significant", "", "share of them with p < identify.alpha", ratio(&Line::significant, &Line::tested)}},
            {{"paper", "arXiv 2603.17102, Table 2"}}};
}

ResultTable layers_table(const Findings& f) {
    struct Line {
        std::string dataset;
        std::int32_t layer;
        std::int64_t identified = 0, experts = 0, blacklisted = 0;
    };
    const std::vector<bool> is_moe = f.asking.is_moe();
    std::vector<Line> lines;
    for (const auto& part : f.parts()) {
        std::vector<Line> of_part;
        std::vector<std::vector<ExpertId>> distinct(is_moe.size());
        for (std::size_t l = 0; l < is_moe.size(); ++l) of_part.push_back({part.name, static_cast<std::int32_t>(l)});
        for (const DatasetContrast* dataset : part.datasets) {
            for (const ExpertId& expert : dataset->identified.blacklist)
                ++of_part[static_cast<std::size_t>(expert.layer)].blacklisted;
            for (const QuestionExperts& question : dataset->identified.questions)
                for (const ExpertId& expert : question.within(f.config.identify.cap)) {
                    ++of_part[static_cast<std::size_t>(expert.layer)].identified;
                    auto& seen = distinct[static_cast<std::size_t>(expert.layer)];
                    if (std::ranges::find(seen, expert) == seen.end()) seen.push_back(expert);
                }
        }
        for (std::size_t l = 0; l < is_moe.size(); ++l) {
            of_part[l].experts = std::ssize(distinct[l]);
            if (is_moe[l]) lines.push_back(of_part[l]);
        }
    }
    return {"layers",
            "Where identified experts are",
            {{"dataset", "", "its name; all: all of them", values_of(lines, &Line::dataset)},
             {"layer", "", "decoder layer, from 0", values_of(lines, &Line::layer)},
             {"identified", "", "times an expert of it is a question's", values_of(lines, &Line::identified)},
             {"experts", "", "different ones among them", values_of(lines, &Line::experts)},
             {"blacklisted", "", "experts left out as generalists", values_of(lines, &Line::blacklisted)}},
            {{"paper", "arXiv 2603.17102, Figures 3 and 4"}}};
}

}  // namespace moesweep
