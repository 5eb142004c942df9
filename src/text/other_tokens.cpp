#include "other_tokens.h"

#include <unordered_set>

#include "field.h"
#include "moesweep/base/files.h"

namespace moesweep::text {
namespace {

class Collector {
  public:
    Collector(const std::filesystem::path& model_folder, const Definition& definition) : folder_(model_folder) {
        for (const AddedToken& token : definition.added) known_.insert(token.content);
    }

    /// In the order in which transformers reads: the older files count if the newest list is missing.
    std::vector<OtherToken> collect() {
        bool has_list = false;
        read("tokenizer_config.json", [&](const Field& root) {
            add_special(root);
            const auto list = root.find("added_tokens_decoder");
            has_list = list.has_value();
            if (list) add_all(*list);
        });
        if (has_list) return std::move(found_);
        read("special_tokens_map.json", [&](const Field& root) { add_special(root); });
        read("added_tokens.json", [&](const Field& root) {
            for (const auto& [content, id] : root.object().items()) add(content);
        });
        return std::move(found_);
    }

  private:
    template <class Use>
    void read(const char* name, Use use) {
        const auto path = folder_ / name;
        if (!std::filesystem::exists(path)) return;
        const std::string file = path.string();
        const Json json = parse_json(read_file(path), file);
        file_ = name;
        use(Field(file, json));
    }

    /// bos_token, image_token and the like, and the lists of additional ones.
    void add_special(const Field& root) {
        for (const auto& [key, value] : root.object().items())
            if (key.ends_with("_token")) add_one(value);
        for (const char* key : {"additional_special_tokens", "extra_special_tokens", "model_specific_special_tokens"})
            if (const auto list = root.find(key)) add_all(*list);
    }

    /// Of a list or of an object's values.
    void add_all(const Field& tokens) {
        if (!tokens.json().is_structured()) tokens.refuse("a list of tokens");
        for (const Json& token : tokens.json()) add_one(token);
    }

    /// "content" or {"content": "content", ...}.
    void add_one(const Json& token) {
        const Json& content = token.is_object() && token.contains("content") ? token["content"] : token;
        if (content.is_string()) add(content.get<std::string>());
    }

    void add(const std::string& content) {
        if (!content.empty() && known_.insert(content).second) found_.push_back({content, file_});
    }

    const std::filesystem::path& folder_;
    std::string file_;
    std::unordered_set<std::string> known_;
    std::vector<OtherToken> found_;
};

}  // namespace

std::vector<OtherToken> read_other_tokens(const std::filesystem::path& model_folder, const Definition& definition) {
    return Collector(model_folder, definition).collect();
}

}  // namespace moesweep::text
