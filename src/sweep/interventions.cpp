#include "moesweep/interventions.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>

namespace moesweep {
namespace {

/// The routing union of a site, ascending, with patch_e = c_e(clean) - c_e(noised) of each expert (eq. 6).
struct ExpertPatches {
    std::vector<std::int64_t> experts;
    std::vector<bool> clean_active, noised_active;
    at::Tensor vectors;  // [n, D]

    std::int64_t place(std::int64_t expert) const {
        return std::lower_bound(experts.begin(), experts.end(), expert) - experts.begin();
    }
};

ExpertPatches expert_patches(const Site& site) {
    ExpertPatches all;
    all.experts.assign(site.clean_experts.begin(), site.clean_experts.end());
    all.experts.insert(all.experts.end(), site.noised_experts.begin(), site.noised_experts.end());
    std::sort(all.experts.begin(), all.experts.end());
    all.experts.erase(std::unique(all.experts.begin(), all.experts.end()), all.experts.end());

    const auto places = [&](std::span<const std::int64_t> experts, std::vector<bool>& active) {
        std::vector<std::int64_t> place;
        active.assign(all.experts.size(), false);
        for (const auto expert : experts) {
            place.push_back(all.place(expert));
            active[static_cast<std::size_t>(place.back())] = true;
        }
        return at::tensor(place, at::kLong).to(site.clean_output.device());
    };
    const auto D = site.clean_output.size(0), n = static_cast<std::int64_t>(all.experts.size());
    const at::Tensor clean = at::zeros({n, D}, site.clean_output.options()), noised = at::zeros_like(clean);
    clean.index_copy_(0, places(site.clean_experts, all.clean_active), site.clean_contributions);
    noised.index_copy_(0, places(site.noised_experts, all.noised_active), site.noised_contributions);
    all.vectors = clean - noised;
    return all;
}

/// Collects labels with their vectors; block() alone names its output, which is the clean one to the last bit.
class Collector {
  public:
    explicit Collector(const Site& site) : site_(site) {}
    void add(Patches::Label label, const at::Tensor& vector) { add(label, vector, site_.noised_output + vector); }
    void add(Patches::Label label, const at::Tensor& vector, const at::Tensor& output) {
        patches_.labels.push_back(label);
        vectors_.push_back(vector);
        outputs_.push_back(output);
    }
    Patches finish() {
        if (!vectors_.empty()) {
            patches_.vectors = at::stack(vectors_);
            patches_.outputs = at::stack(outputs_);
        }
        return std::move(patches_);
    }

  private:
    const Site& site_;
    Patches patches_;
    std::vector<at::Tensor> vectors_, outputs_;
};

void add_block(const Site& site, Collector& to) {
    to.add({Kind::block}, site.clean_output - site.noised_output, site.clean_output);
}

void add_experts(const ExpertPatches& experts, Experts which, Collector& to) {
    for (std::size_t i = 0; i < experts.experts.size(); ++i) {
        const bool clean = experts.clean_active[i], noised = experts.noised_active[i];
        if (which == Experts::union_ || clean)
            to.add({Kind::expert, static_cast<std::int32_t>(experts.experts[i]), 0, 1, clean, noised},
                   experts.vectors[static_cast<std::int64_t>(i)]);
    }
}

/// The sum of the members' patches, in ascending order of experts.
void add_coalition(const ExpertPatches& experts, Kind kind, const std::vector<bool>& members, Collector& to) {
    at::Tensor sum = at::zeros_like(experts.vectors[0]);
    for (std::size_t i = 0; i < experts.experts.size(); ++i)
        if (members[i]) sum.add_(experts.vectors[static_cast<std::int64_t>(i)]);
    to.add({kind}, sum);
}

/// Every non-empty subset of the clean top-k, each the sum of one smaller by its greatest expert and that expert's patch:
/// the same order of additions as a coalition's, so the full set has the clean coalition's bits.
void add_subsets(const Site& site, const ExpertPatches& experts, Collector& to) {
    std::vector<std::pair<std::int64_t, std::size_t>> ascending;  // clean experts and their slots
    for (std::size_t slot = 0; slot < site.clean_experts.size(); ++slot)
        ascending.emplace_back(site.clean_experts[slot], slot);
    std::sort(ascending.begin(), ascending.end());

    const std::size_t subsets = std::size_t{1} << ascending.size();
    std::vector<at::Tensor> by_members(subsets);
    by_members[0] = at::zeros_like(experts.vectors[0]);
    std::vector<std::size_t> members_of(subsets);  // of a set of places in `ascending`: its set of slots
    for (std::size_t set = 1; set < subsets; ++set) {
        const auto greatest = static_cast<std::size_t>(std::bit_width(set)) - 1;
        const auto& [expert, slot] = ascending[greatest];
        const std::size_t smaller = members_of[set ^ (std::size_t{1} << greatest)];
        members_of[set] = smaller | std::size_t{1} << slot;
        by_members[members_of[set]] = by_members[smaller] + experts.vectors[experts.place(expert)];
    }
    for (std::size_t members = 1; members < subsets; ++members)
        to.add({Kind::subset, -1, static_cast<std::int32_t>(members)}, by_members[members]);
}

/// Both patches of the pair scaled to the smaller of their norms (eq. 10); nothing if one of them is zero.
void add_equal_norm(const std::array<std::int32_t, 2>& pair, const ExpertPatches& experts, Collector& to) {
    const auto norm = [&](std::int32_t expert) {
        return at::linalg_vector_norm(experts.vectors[experts.place(expert)].to(at::kDouble)).item<double>();
    };
    const double smaller = std::min(norm(pair[0]), norm(pair[1]));
    if (smaller == 0) return;
    for (const std::int32_t expert : {std::min(pair[0], pair[1]), std::max(pair[0], pair[1])}) {
        const std::int64_t place = experts.place(expert);
        const double scale = smaller / norm(expert);
        const auto i = static_cast<std::size_t>(place);
        to.add(
            {Kind::equal_norm, expert, 0, static_cast<float>(scale), experts.clean_active[i], experts.noised_active[i]},
            experts.vectors[place] * scale);
    }
}

}  // namespace

Patches make_patches(const Site& site, const SitePlan& plan) {
    Collector patches(site);
    const ExpertPatches experts = expert_patches(site);
    if (plan.block) add_block(site, patches);
    if (plan.experts != Experts::none) add_experts(experts, plan.experts, patches);
    if (plan.coalition_clean) add_coalition(experts, Kind::coalition_clean, experts.clean_active, patches);
    if (plan.coalition_union)
        add_coalition(experts, Kind::coalition_union, std::vector<bool>(experts.experts.size(), true), patches);
    if (plan.subsets) add_subsets(site, experts, patches);
    if (plan.equal_norm && site.pair) add_equal_norm(*site.pair, experts, patches);
    return patches.finish();
}

}  // namespace moesweep
