#include "moesweep/interventions.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace moesweep {
namespace {

/// The routing union of a site, ascending, with patch_e = c_e(clean) - c_e(noised) of each expert (eq. 6).
struct ExpertPatches {
    std::vector<std::int64_t> experts;
    std::vector<bool> clean_active, noised_active;
    at::Tensor vectors;  // [n, D]
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
            place.push_back(std::lower_bound(all.experts.begin(), all.experts.end(), expert) - all.experts.begin());
            active[static_cast<std::size_t>(place.back())] = true;
        }
        return at::tensor(place, at::kLong);
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
            to.add({Kind::expert, static_cast<std::int32_t>(experts.experts[i]), 1, clean, noised},
                   experts.vectors[static_cast<std::int64_t>(i)]);
    }
}

/// The sum of the members' patches, in ascending order of experts.
void add_coalition(const ExpertPatches& experts, Kind kind, const std::vector<bool>* members, Collector& to) {
    at::Tensor sum = at::zeros_like(experts.vectors[0]);
    for (std::size_t i = 0; i < experts.experts.size(); ++i)
        if (!members || (*members)[i]) sum.add_(experts.vectors[static_cast<std::int64_t>(i)]);
    to.add({kind}, sum);
}

}  // namespace

Patches make_patches(const Site& site, const Config::Sweep& sweep) {
    Collector patches(site);
    const ExpertPatches experts = expert_patches(site);
    if (sweep.blocks) add_block(site, patches);
    if (sweep.experts != Experts::none) add_experts(experts, sweep.experts, patches);
    if (sweep.coalition_clean) add_coalition(experts, Kind::coalition_clean, &experts.clean_active, patches);
    if (sweep.coalition_union) add_coalition(experts, Kind::coalition_union, nullptr, patches);
    return patches.finish();
}

}  // namespace moesweep
