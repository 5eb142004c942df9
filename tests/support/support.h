// What many tests need: a temporary folder, the Error of a failure, the shared data.
#pragma once
#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "moesweep/base/error.h"

namespace moesweep {

/// An empty folder that is removed with the object.
class Scratch {
  public:
    Scratch() {
        std::string name = (std::filesystem::temp_directory_path() / "moesweep-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary folder can be made");
        folder_ = name;
    }
    ~Scratch() {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    const std::filesystem::path& folder() const { return folder_; }
    std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }

  private:
    std::filesystem::path folder_;
};

/// Sets an environment variable while it lives.
class Variable {
  public:
    Variable(std::string name, const std::string& value) : name_(std::move(name)) {
        if (const char* now = std::getenv(name_.c_str())) before_ = now;
        ::setenv(name_.c_str(), value.c_str(), 1);
    }
    ~Variable() {
        if (before_)
            ::setenv(name_.c_str(), before_->c_str(), 1);
        else
            ::unsetenv(name_.c_str());
    }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

  private:
    std::string name_;
    std::optional<std::string> before_;
};

struct Failure {
    Exit code = Exit::done;  ///< done if nothing was thrown
    std::string message;
};

/// The Error that `action` throws.
template <class Action>
Failure failure_of(Action&& action) {
    try {
        action();
    } catch (const Error& error) {
        return {error.code(), error.what()};
    }
    return {};
}

/// The folder of shared test data, or nothing; then its tests are skipped with a message.
inline std::optional<std::filesystem::path> shared_folder() {
    const char* path = std::getenv("MOESWEEP_SHARED");
    if (!path || !std::filesystem::is_directory(path)) return std::nullopt;
    return path;
}

}  // namespace moesweep
