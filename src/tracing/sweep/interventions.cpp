#include "moesweep/tracing/interventions.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>

#include "moesweep/model/row_arithmetic.h"

namespace moesweep {
namespace {

at::Tensor to_device(const std::vector<std::int64_t>& values, const at::Tensor& like) {
    return at::tensor(values, at::kLong).to(like.device(), /*non_blocking=*/true);
}

/// The routing unions of all cases, ascending in each: patch_e = c_e(clean) - c_e(noised) (eq. 6) of every expert of a
/// case is a row of `vectors`, and a row of zeros follows the last.
struct ExpertPatches {
    std::vector<std::vector<std::int64_t>> experts;              // of each case
    std::vector<std::vector<bool>> clean_active, noised_active;  // beside them
    std::vector<std::int64_t> first;                             // row of each case's first expert
    std::int64_t zero = 0;                                       // the row of zeros
    at::Tensor vectors;

    std::size_t place(std::size_t b, std::int64_t expert) const {
        return static_cast<std::size_t>(std::ranges::lower_bound(experts[b], expert) - experts[b].begin());
    }
    std::int64_t row(std::size_t b, std::size_t place) const { return first[b] + static_cast<std::int64_t>(place); }
};

ExpertPatches expert_patches(const LayerSites& sites) {
    const auto B = static_cast<std::size_t>(sites.outputs.size(0) / 2),
               K = static_cast<std::size_t>(sites.contributions.size(1));
    ExpertPatches all;
    std::vector<std::int64_t> rows[2], slots[2];  // clean and noised: where each slot's contribution goes
    for (std::size_t b = 0; b < B; ++b) {
        const auto both = sites.experts.subspan(2 * b * K, 2 * K);
        std::vector<std::int64_t> experts(both.begin(), both.end());
        std::ranges::sort(experts);
        experts.erase(std::unique(experts.begin(), experts.end()), experts.end());
        all.experts.push_back(std::move(experts));
        all.first.push_back(all.zero);
        all.zero += static_cast<std::int64_t>(all.experts[b].size());
        std::vector<bool> active[2] = {std::vector<bool>(all.experts[b].size()),
                                       std::vector<bool>(all.experts[b].size())};
        for (std::size_t slot = 0; slot < 2 * K; ++slot) {
            const std::size_t place = all.place(b, both[slot]), run = slot / K;
            active[run][place] = true;
            rows[run].push_back(all.row(b, place));
            slots[run].push_back(static_cast<std::int64_t>(2 * b * K + slot));
        }
        all.clean_active.push_back(std::move(active[0]));
        all.noised_active.push_back(std::move(active[1]));
    }
    const at::Tensor contributions = sites.contributions.flatten(0, 1);
    const auto of_run = [&](std::size_t run) {
        const at::Tensor vectors = at::zeros({all.zero + 1, contributions.size(1)}, contributions.options());
        return vectors.index_copy_(0, to_device(rows[run], vectors),
                                   contributions.index_select(0, to_device(slots[run], vectors)));
    };
    all.vectors = of_run(0) - of_run(1);
    return all;
}

/// Interventions with what their patches are sums of: rows of ExpertPatches, added from left to right; none of a block.
class Collector {
  public:
    explicit Collector(const ExpertPatches& experts) : experts_(experts) {}

    void block(std::size_t b) { add({b, Kind::block}, {}); }
    /// One expert's patch times `scale`.
    void expert(std::size_t b, Kind kind, std::size_t place, double scale = 1) {
        add({b, kind, static_cast<std::int32_t>(experts_.experts[b][place]), 0, scale, experts_.clean_active[b][place],
             experts_.noised_active[b][place]},
            {experts_.row(b, place)});
    }
    /// The sum over experts at `places`, ascending.
    void sum(std::size_t b, Kind kind, std::int32_t members, const std::vector<std::size_t>& places) {
        std::vector<std::int64_t> terms = {experts_.zero};
        for (const std::size_t place : places) terms.push_back(experts_.row(b, place));
        add({b, kind, -1, members}, std::move(terms));
    }

    /// All patches, at once.
    Patches finish(const LayerSites& sites);

  private:
    void add(Intervention intervention, std::vector<std::int64_t> terms) {
        interventions_.push_back(intervention);
        terms_.push_back(std::move(terms));
    }
    at::Tensor expert_sums(std::int64_t width) const;

    const ExpertPatches& experts_;
    std::vector<Intervention> interventions_;
    std::vector<std::vector<std::int64_t>> terms_;
};

/// The sums of terms [n, D], a block's left open.
at::Tensor Collector::expert_sums(std::int64_t width) const {
    const at::Tensor& pool = experts_.vectors;
    const at::Tensor vectors = at::empty({static_cast<std::int64_t>(terms_.size()), width}, pool.options());
    std::vector<std::int64_t> single, only_term, several;
    std::size_t most = 0;
    for (std::size_t i = 0; i < terms_.size(); ++i) {
        most = std::max(most, terms_[i].size());
        if (terms_[i].size() == 1) {
            single.push_back(static_cast<std::int64_t>(i));
            only_term.push_back(terms_[i][0]);
        } else if (terms_[i].size() > 1) {
            several.push_back(static_cast<std::int64_t>(i));
        }
    }
    if (!single.empty())
        vectors.index_copy_(0, to_device(single, pool), pool.index_select(0, to_device(only_term, pool)));
    if (several.empty()) return vectors;
    at::Tensor sums = at::zeros({static_cast<std::int64_t>(several.size()), width}, pool.options());
    for (std::size_t t = 1; t < most; ++t) {  // the first is the row of zeros
        std::vector<std::int64_t> term;
        for (const std::int64_t i : several) {
            const auto& terms = terms_[static_cast<std::size_t>(i)];
            term.push_back(t < terms.size() ? terms[t] : experts_.zero);
        }
        sums.add_(pool.index_select(0, to_device(term, pool)));
    }
    vectors.index_copy_(0, to_device(several, pool), sums);
    return vectors;
}

/// A block's output is the clean one to the last bit; the others' are sums with the noised one.
Patches Collector::finish(const LayerSites& sites) {
    Patches patches{interventions_, {}, {}};
    if (interventions_.empty()) return patches;
    std::vector<std::int64_t> noised, blocks, block_noised, block_clean;
    std::vector<double> scales;
    for (std::size_t i = 0; i < interventions_.size(); ++i) {
        const auto run = static_cast<std::int64_t>(2 * interventions_[i].case_in_batch);
        noised.push_back(run + 1);
        scales.push_back(interventions_[i].scale);
        if (interventions_[i].kind != Kind::block) continue;
        blocks.push_back(static_cast<std::int64_t>(i));
        block_clean.push_back(run);
        block_noised.push_back(run + 1);
    }
    const auto outputs_of = [&](const std::vector<std::int64_t>& runs) {
        return sites.outputs.index_select(0, to_device(runs, sites.outputs));
    };
    patches.vectors = expert_sums(sites.outputs.size(1));
    if (std::ranges::any_of(scales, [](double scale) { return scale != 1; }))
        patches.vectors.mul_(at::tensor(scales, at::kDouble).to(patches.vectors.options()).unsqueeze(1));
    const at::Tensor where = to_device(blocks, sites.outputs), clean = outputs_of(block_clean);
    if (!blocks.empty()) patches.vectors.index_copy_(0, where, clean - outputs_of(block_noised));
    patches.outputs = outputs_of(noised) + patches.vectors;
    if (!blocks.empty()) patches.outputs.index_copy_(0, where, clean);
    return patches;
}

std::vector<std::size_t> places_where(const std::vector<bool>& chosen) {
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < chosen.size(); ++i)
        if (chosen[i]) places.push_back(i);
    return places;
}

void add_experts(std::size_t b, const ExpertPatches& experts, Experts which, Collector& to) {
    for (std::size_t place = 0; place < experts.experts[b].size(); ++place)
        if (which == Experts::union_ || experts.clean_active[b][place]) to.expert(b, Kind::expert, place);
}

/// Every non-empty subset of the clean top-k, by its set of slots.
void add_subsets(std::size_t b, std::span<const std::int64_t> clean_experts, const ExpertPatches& experts,
                 Collector& to) {
    for (std::uint32_t members = 1; members < std::uint32_t{1} << clean_experts.size(); ++members) {
        std::vector<std::size_t> places;
        for (std::uint32_t rest = members; rest != 0; rest &= rest - 1)
            places.push_back(experts.place(b, clean_experts[static_cast<std::size_t>(std::countr_zero(rest))]));
        std::ranges::sort(places);
        to.sum(b, Kind::subset, static_cast<std::int32_t>(members), places);
    }
}

/// Both patches of the pair scaled to the smaller of their norms (eq. 10); nothing if one of them is zero.
void add_equal_norm(std::size_t b, const Pair& pair, const ExpertPatches& experts, const double* norms, Collector& to) {
    const auto norm = [&](std::int32_t expert) { return norms[experts.row(b, experts.place(b, expert))]; };
    const double smaller = std::min(norm(pair[0]), norm(pair[1]));
    if (smaller == 0) return;
    for (const std::int32_t expert : {std::min(pair[0], pair[1]), std::max(pair[0], pair[1])})
        to.expert(b, Kind::equal_norm, experts.place(b, expert), smaller / norm(expert));
}

}  // namespace

Patches make_patches(const LayerSites& sites, const SitePlan& plan) {
    const auto K = static_cast<std::size_t>(sites.contributions.size(1));
    const ExpertPatches experts = expert_patches(sites);
    const at::Tensor norms = plan.equal_norm ? row_norms(experts.vectors).cpu() : at::Tensor();
    Collector patches(experts);
    for (std::size_t b = 0; b < experts.experts.size(); ++b) {
        if (plan.block) patches.block(b);
        if (plan.experts != Experts::none) add_experts(b, experts, plan.experts, patches);
        if (plan.coalition_clean) patches.sum(b, Kind::coalition_clean, 0, places_where(experts.clean_active[b]));
        if (plan.coalition_union)
            patches.sum(b, Kind::coalition_union, 0, places_where(std::vector<bool>(experts.experts[b].size(), true)));
        if (plan.subsets) add_subsets(b, sites.experts.subspan(2 * b * K, K), experts, patches);
        if (plan.equal_norm && sites.pairs[b])
            add_equal_norm(b, *sites.pairs[b], experts, norms.const_data_ptr<double>(), patches);
    }
    return patches.finish(sites);
}

}  // namespace moesweep
