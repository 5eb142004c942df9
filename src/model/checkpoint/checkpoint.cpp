#include "moesweep/model/checkpoint.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <ranges>
#include <set>

#include "moesweep/base/json.h"
#include "stored_form.h"

namespace moesweep {
namespace {

namespace fs = std::filesystem;

constexpr const char* single_name = "model.safetensors";
constexpr const char* index_name = "model.safetensors.index.json";

/// Why an action is refused as bad data, if it is.
template <class Action>
std::optional<std::string> refusal_of(Action&& action) {
    try {
        action();
    } catch (const Error& error) {
        if (error.code() != Exit::data) throw;
        return error.what();
    }
    return std::nullopt;
}

/// The index: which shard holds which tensor.
std::map<std::string, std::string> read_index(const fs::path& path) {
    const std::string name = path.string();
    const Json index = parse_json(read_file(path), name);
    const auto shards = get_field<std::map<std::string, std::string>>(index, "weight_map", name);
    for (const auto& [tensor, shard] : shards)
        if (shard.empty() || fs::path(shard).filename() != shard)
            fail(Exit::data, "{}: weight_map: {}: '{}' is not a file name", name, tensor, shard);
    return shards;
}

std::uint64_t count(const std::vector<std::int64_t>& shape) {
    return std::accumulate(shape.begin(), shape.end(), std::uint64_t{1}, std::multiplies<>());
}

void check(const TensorView& view, const std::vector<std::int64_t>& shape) {
    if (view.shape != shape)
        fail(Exit::data, "{}: {}: expected shape {}, got {}", view.where(), view.name, shape_text(shape),
             shape_text(view.shape));
    if (!find_form(view.dtype))
        fail(Exit::data, "{}: {}: dtype {} is not supported, expected {}", view.where(), view.name, view.dtype,
             form_names());
}

/// The expected tensor within the one that holds it.
TensorView part_of(const TensorView& whole, const ExpectedTensor& tensor) {
    TensorView part = whole;
    part.shape = tensor.shape;
    part.bytes = whole.bytes / (count(whole.shape) / count(tensor.shape));
    part.offset += part.bytes * static_cast<std::uint64_t>(tensor.elsewhere->part);
    if (part.bytes < whole.bytes) part.name = fmt::format("{} (in {})", tensor.name, whole.name);
    return part;
}

}  // namespace

/// What the files of a set hold, what their index says, and what is looked for.
struct Checkpoint::Contents {
    std::set<std::string> expected;
    std::multimap<std::string, TensorView> tensors;
    std::map<std::string, std::string> shards;      ///< tensor -> shard, empty without an index
    std::map<std::string, std::string> unreadable;  ///< shard -> why

    /// The tensor in the shard that the index names, or in the one file that has it; nullptr if it is not there.
    const TensorView* find(const std::string& name) const {
        const auto [begin, end] = tensors.equal_range(name);
        const auto place = shards.find(name);
        if (place == shards.end()) {
            if (std::distance(begin, end) > 1)
                fail(Exit::data, "{}: {}: also in {}, and the index does not say which one counts",
                     begin->second.where(), name, std::next(begin)->second.where());
            return begin == end ? nullptr : &begin->second;
        }
        if (const auto broken = unreadable.find(place->second); broken != unreadable.end())
            fail(Exit::data, "{}", broken->second);
        const auto named = std::find_if(
            begin, end, [&](const auto& tensor) { return tensor.second.file->path().filename() == place->second; });
        return named == end ? nullptr : &named->second;
    }
};

Checkpoint::Checkpoint(const fs::path& source, std::span<const ExpectedTensor> expected) : source_(source) {
    Contents contents;
    if (const auto why = refusal_of([&] { contents = open_files(); })) {
        problems_.push_back(*why);
        return;
    }
    std::set<std::string> said;
    for (const ExpectedTensor& tensor : expected) contents.expected.insert(tensor.name);
    for (const ExpectedTensor& tensor : expected) {
        const auto why = refusal_of([&] { tensors_.emplace(tensor.name, locate(contents, tensor)); });
        if (why && said.insert(*why).second) problems_.push_back(*why);
    }
    note_what_is_passed_over(contents);
}

Checkpoint::Contents Checkpoint::open_files() {
    Contents contents;
    const auto add = [&](const fs::path& path) {
        const InputFile& file = files_.emplace(path, InputFile(path)).first->second;
        for (TensorView& tensor : read_tensors(file)) contents.tensors.emplace(tensor.name, std::move(tensor));
    };
    if (source_.filename() != index_name) {
        add(source_);
        return contents;
    }
    contents.shards = read_index(source_);
    std::set<std::string> names;
    for (const auto& [tensor, shard] : contents.shards) names.insert(shard);
    for (const std::string& shard : names)
        if (const auto why = refusal_of([&] { add(source_.parent_path() / shard); }))
            contents.unreadable.emplace(shard, *why);
    return contents;
}

TensorView Checkpoint::locate(const Contents& contents, const ExpectedTensor& tensor) {
    const TensorView* own = contents.find(tensor.name);
    const TensorView* other = tensor.elsewhere ? contents.find(tensor.elsewhere->name) : nullptr;
    const TensorView* found = own ? own : other;
    if (own && other && !contents.expected.contains(other->name))
        fail(Exit::data, "{}: {}: stored twice, also as {} in {}", other->where(), other->name, own->name,
             own->where());
    if (!found && contents.shards.contains(tensor.name))
        fail(Exit::data, "{}: {}: not in {}", source_.string(), tensor.name, contents.shards.at(tensor.name));
    if (!found && !contents.unreadable.empty()) fail(Exit::data, "{}", contents.unreadable.begin()->second);
    if (!found) fail(Exit::data, "{}: {}: missing tensor", source_.parent_path().string(), tensor.name);
    stored_.emplace(found->name, *found);
    check(*found, own ? tensor.shape : tensor.elsewhere->shape);
    return own ? *own : part_of(*other, tensor);
}

void Checkpoint::note_what_is_passed_over(const Contents& contents) {
    for (const auto& [shard, why] : contents.unreadable)
        if (std::ranges::find(problems_, why) == problems_.end())
            notes_.push_back(fmt::format("{}: passed over, for nothing that is needed is there", why));
    for (const auto& [name, tensor] : contents.tensors) {
        const auto used = stored_.find(name);
        if (used == stored_.end()) {
            unexpected_.emplace(name, tensor);
        } else if (used->second.file != tensor.file) {
            index_chose_ = true;
            if (used->second.file->path() < tensor.file->path()) copies_.push_back({used->second, tensor});
            notes_.push_back(
                fmt::format("{}: {}: passed over, for the index names {} (transformers takes it from the last file)",
                            tensor.where(), name, contents.shards.at(name)));
        }
    }
}

bool Checkpoint::Copies::same_bytes() const {
    if (used.dtype != last.dtype || used.shape != last.shape) return false;
    constexpr std::uint64_t block = std::uint64_t{1} << 20;
    std::vector<std::byte> a(block), b(block);
    for (std::uint64_t begin = 0; begin < used.bytes; begin += block) {
        const std::uint64_t size = std::min(block, used.bytes - begin);
        used.read(begin, std::span(a).first(size));
        last.read(begin, std::span(b).first(size));
        if (!std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(size), b.begin())) return false;
    }
    return true;
}

std::vector<fs::path> Checkpoint::files() const {
    std::set<fs::path> paths;
    if (index_chose_) paths.insert(source_);
    for (const auto& [name, tensor] : stored_) paths.insert(tensor.file->path());
    return {paths.begin(), paths.end()};
}

Checkpoint Checkpoint::open(const fs::path& folder, std::span<const ExpectedTensor> expected) {
    std::vector<Checkpoint> found;
    for (const char* name : {single_name, index_name})
        if (fs::exists(folder / name)) found.push_back(Checkpoint(folder / name, expected));
    if (found.empty()) fail(Exit::data, "{}: neither {} nor {}", folder.string(), single_name, index_name);
    const auto same_files = [&] {
        return std::ranges::equal(found[0].files_ | std::views::keys, found[1].files_ | std::views::keys);
    };
    // An index of nothing but model.safetensors makes no second set.
    if (found.size() == 1 || (same_files() && found[0].whole() == found[1].whole())) return std::move(found.back());

    if (found[0].whole() && found[1].whole())
        fail(Exit::data,
             "{}: both {} and the shards of {} hold a whole model: remove the one that you do not mean (transformers "
             "reads {})",
             folder.string(), single_name, index_name, single_name);
    const bool second = found[1].whole();
    Checkpoint &best = found[second], &other = found[!second];
    const std::string& why_not = other.problems_[0];
    if (best.whole()) {
        best.notes_.push_back(fmt::format("{}: passed over, for it is not whole: {}", other.source_.string(), why_not));
    } else {
        best.problems_.insert(best.problems_.begin(),
                              fmt::format("{}: neither {} nor the shards of {} hold a whole model: {}; {}",
                                          folder.string(), single_name, index_name, best.problems_[0], why_not));
        best.problems_.insert(best.problems_.end(), other.problems_.begin(), other.problems_.end());
    }
    return std::move(best);
}

}  // namespace moesweep
