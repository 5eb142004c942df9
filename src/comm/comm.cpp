#include "moesweep/comm/comm.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string_view>

#include "handle.h"

namespace moesweep {
namespace {

std::atomic<const char*> waiting_call = nullptr;
std::atomic<int> ending = 0;  // the exit code, once the process is ending

/// One number, from `root` of `comm` to all.
std::int64_t broadcast_count(MPI_Comm comm, int root, std::int64_t count) {
    wait_for("MPI_Bcast", MPI_Bcast, &count, 1, MPI_INT64_T, root, comm);
    return count;
}

std::string broadcast_from(MPI_Comm comm, int root, const std::string& text, int rank) {
    const std::int64_t length = broadcast_count(comm, root, static_cast<std::int64_t>(text.size()));
    std::string out = rank == root ? text : std::string(static_cast<std::size_t>(length), '\0');
    wait_for("MPI_Bcast", MPI_Bcast, out.data(), to_int(length), MPI_CHAR, root, comm);
    return out;
}

/// An environment variable as a number; 0 if it is not set.
int number_in_environment(const char* name) {
    const char* text = std::getenv(name);
    return text ? std::atoi(text) : 0;
}

bool has_variable(std::string_view prefix) {
    for (char** entry = environ; *entry; ++entry)
        if (std::string_view(*entry).starts_with(prefix)) return true;
    return false;
}

/// Whether a PMIx server knows the other ranks: mpirun's or that of srun --mpi=pmix. Other PMIx variables may be
/// leftovers.
bool has_pmix() {
    return has_variable("PMIX_SERVER_URI");
}

bool has_mpirun() {
    const char* name = std::getenv("PMIX_NAMESPACE");
    return has_pmix() && !(name && std::string_view(name).starts_with("slurm."));
}

/// Over TCP rank 0 has a connection, which is an open file, to every other rank. The soft limit is often 1024.
void allow_open_files() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// Finds out from the environment who started this process, and tells Open MPI 4 so.
void prepare_start() {
    // A single process must not start a daemon: it outlives a killed one, and then takes all the memory it can get.
    ::setenv("OMPI_MCA_ess_singleton_isolated", "1", /*overwrite=*/0);
    const int tasks = number_in_environment("SLURM_STEP_NUM_TASKS");  // started together by srun; 0: by another
    if (has_mpirun() || (tasks > 1 && has_pmix()) || (tasks != 1 && has_variable("PMI_"))) return;
    if (tasks > 1)
        throw SharedError(Exit::usage, fmt::format("srun started {} tasks without PMI, so they cannot find each "
                                                   "other: use srun --mpi=pmix, or mpirun instead of srun",
                                                   tasks));
    // A single process, even in a step of one task (srun --pty bash), where Open MPI would look for PMI. Its temporary
    // folder would be shared by all such processes of a user, and one that ends removes it under another: use none.
    ::unsetenv("SLURM_STEP_ID");
    ::setenv("OMPI_MCA_orte_create_session_dirs", "0", /*overwrite=*/0);
}

}  // namespace

void check(int code, const char* call, Exit blame) {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    MPI_Error_string(code, text, &length);
    fail(blame, "{}: {}", call, text);
}

int to_int(std::int64_t count) {
    if (count < 0 || count > INT_MAX) fail(Exit::internal, "MPI: {} elements are too many for one message", count);
    return static_cast<int>(count);
}

Comm::Handle::~Handle() {
    // Leaving with an Error that the others may not know of; what follows would need them.
    if (comm != MPI_COMM_WORLD && std::uncaught_exceptions() > 0) return;
    devices.reset();
    for (auto& message : messages) MPI_Wait(&message.request, MPI_STATUS_IGNORE);
    if (memory != MPI_WIN_NULL) MPI_Win_free(&memory);
    MPI_Comm_free(&mail);
    if (comm == MPI_COMM_WORLD)
        MPI_Finalize();
    else
        MPI_Comm_free(&comm);
}

Comm::Comm(std::unique_ptr<Handle> handle, int rank, int size) : handle_(std::move(handle)), rank_(rank), size_(size) {}
Comm::Comm(Comm&&) noexcept = default;
Comm::~Comm() = default;

Comm::Comm() {
    prepare_start();
    allow_open_files();
    // Only this thread calls MPI; the watchdog's thread does so once, at the end, when nothing else moves any more.
    int provided = 0;
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
    check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    handle_ = std::make_unique<Handle>(MPI_COMM_WORLD);
    check(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "MPI_Comm_rank");
    check(MPI_Comm_size(MPI_COMM_WORLD, &size_), "MPI_Comm_size");
}

Comm Comm::alone() {
    return Comm(nullptr, 0, 1);
}

Comm Comm::split(int colour, int position) const {
    if (!handle_) return alone();
    MPI_Comm part = MPI_COMM_NULL;
    wait_for("MPI_Comm_split", MPI_Comm_split, handle_->comm, colour, position, &part);
    return Handle::adopt(part);
}

Comm Comm::node() const {
    if (!handle_) return alone();
    MPI_Comm part = MPI_COMM_NULL;
    wait_for("MPI_Comm_split_type", MPI_Comm_split_type, handle_->comm, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL,
             &part);
    return Handle::adopt(part);
}

Comm Comm::Handle::adopt(MPI_Comm comm) {
    int rank = 0, size = 1;
    auto handle = std::make_unique<Handle>(comm);
    check(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
    check(MPI_Comm_size(comm, &size), "MPI_Comm_size");
    return Comm(std::move(handle), rank, size);
}

void Comm::together(const std::function<void()>& step) const {
    int code = 0;
    std::string message;
    try {
        step();
    } catch (const Error& error) {
        code = static_cast<int>(error.code());
        message = error.what();
    } catch (const std::exception& error) {
        code = static_cast<int>(Exit::internal);
        message = error.what();
    }
    int first = code == 0 ? size_ : rank_;  // the lowest rank that failed
    if (handle_) wait_for("MPI_Allreduce", MPI_Allreduce, MPI_IN_PLACE, &first, 1, MPI_INT, MPI_MIN, handle_->comm);
    if (first == size_) return;
    if (handle_) {
        wait_for("MPI_Bcast", MPI_Bcast, &code, 1, MPI_INT, first, handle_->comm);
        message = broadcast_from(handle_->comm, first, message, rank_);
    }
    throw SharedError(static_cast<Exit>(code), message);
}

std::string Comm::broadcast(const std::string& text) const {
    return handle_ ? broadcast_from(handle_->comm, 0, text, rank_) : text;
}

std::vector<std::int64_t> Comm::broadcast(std::vector<std::int64_t> values) const {
    if (!handle_) return values;
    values.resize(
        static_cast<std::size_t>(broadcast_count(handle_->comm, 0, static_cast<std::int64_t>(values.size()))));
    check(MPI_Bcast(values.data(), to_int(static_cast<std::int64_t>(values.size())), MPI_INT64_T, 0, handle_->comm),
          "MPI_Bcast");
    return values;
}

std::vector<std::string> Comm::gather_all(const std::string& text) const {
    if (!handle_) return {text};
    std::vector<std::string> all;
    for (int rank = 0; rank < size_; ++rank) all.push_back(broadcast_from(handle_->comm, rank, text, rank_));
    return all;
}

std::vector<double> Comm::gather_all(std::span<const double> values) const {
    if (!handle_) return {values.begin(), values.end()};
    const int mine = to_int(static_cast<std::int64_t>(values.size()));
    std::vector<int> counts(static_cast<std::size_t>(size_)), offsets(counts.size());
    wait_for("MPI_Allgather", MPI_Allgather, &mine, 1, MPI_INT, counts.data(), 1, MPI_INT, handle_->comm);
    std::int64_t total = 0;
    for (std::size_t r = 0; r < counts.size(); ++r) {
        offsets[r] = to_int(total);
        total += counts[r];
    }
    std::vector<double> all(static_cast<std::size_t>(to_int(total)));
    wait_for("MPI_Allgatherv", MPI_Allgatherv, values.data(), mine, MPI_DOUBLE, all.data(), counts.data(),
             offsets.data(), MPI_DOUBLE, handle_->comm);
    return all;
}

bool Comm::any(bool mine) const {
    int value = mine ? 1 : 0;
    if (handle_) wait_for("MPI_Allreduce", MPI_Allreduce, MPI_IN_PLACE, &value, 1, MPI_INT, MPI_MAX, handle_->comm);
    return value != 0;
}

void Comm::barrier() const {
    if (handle_) wait_for("MPI_Barrier", MPI_Barrier, handle_->comm);
}

std::vector<std::int64_t> Comm::all_to_all(std::span<const std::int64_t> values) const {
    std::vector<std::int64_t> received(values.begin(), values.end());
    if (!handle_) return received;
    const int part = to_int(static_cast<std::int64_t>(values.size()) / size_);
    wait_for("MPI_Alltoall", MPI_Alltoall, values.data(), part, MPI_INT64_T, received.data(), part, MPI_INT64_T,
             handle_->comm);
    return received;
}

void Comm::post(int to, std::vector<std::int64_t> words) const {
    auto& messages = handle_->messages;
    std::erase_if(messages, [](Handle::Outgoing& message) {
        int sent = 0;
        check(MPI_Test(&message.request, &sent, MPI_STATUS_IGNORE), "MPI_Test");
        return sent != 0;
    });
    auto& message = messages.emplace_back(Handle::Outgoing{std::move(words), MPI_REQUEST_NULL});
    check(MPI_Isend(message.words.data(), to_int(static_cast<std::int64_t>(message.words.size())), MPI_INT64_T, to, 0,
                    handle_->mail, &message.request),
          "MPI_Isend");
}

std::optional<Comm::Message> Comm::read_message() const {
    if (!handle_) return std::nullopt;
    int waiting = 0, count = 0;
    MPI_Status status;
    check(MPI_Iprobe(MPI_ANY_SOURCE, 0, handle_->mail, &waiting, &status), "MPI_Iprobe");
    if (!waiting) return std::nullopt;
    check(MPI_Get_count(&status, MPI_INT64_T, &count), "MPI_Get_count");
    Message message{status.MPI_SOURCE, std::vector<std::int64_t>(static_cast<std::size_t>(count))};
    check(MPI_Recv(message.words.data(), count, MPI_INT64_T, message.from, 0, handle_->mail, MPI_STATUS_IGNORE),
          "MPI_Recv");
    return message;
}

std::span<std::byte> Comm::share_memory(std::size_t bytes) const {
    void* mine = nullptr;
    if (!handle_) {
        own_memory_.assign(bytes, std::byte{0});
        return own_memory_;
    }
    const auto whole = static_cast<MPI_Aint>(bytes) * size_;
    // MPI keeps it in a file, for which there may be no room.
    check(MPI_Win_allocate_shared(root() ? whole : 0, 1, MPI_INFO_NULL, handle_->comm, &mine, &handle_->memory),
          "MPI_Win_allocate_shared", Exit::io);
    MPI_Aint size = 0;
    int unit = 0;
    void* all = nullptr;
    check(MPI_Win_shared_query(handle_->memory, 0, &size, &unit, &all), "MPI_Win_shared_query");
    if (root()) std::memset(all, 0, static_cast<std::size_t>(whole));
    barrier();
    return {static_cast<std::byte*>(all), static_cast<std::size_t>(whole)};
}

bool Comm::is_first_task() {
    return number_in_environment(has_pmix() ? "PMIX_RANK" : "SLURM_PROCID") == 0;
}

const char* Comm::waiting_in() {
    return waiting_call;
}

Comm::Waiting::Waiting(const char* what) {
    waiting_call = what;
}

Comm::Waiting::~Waiting() {
    waiting_call = nullptr;
}

std::optional<std::string> Comm::failure() {
    return DeviceNetwork::failure_of_any();
}

void Comm::stay_if_ending() {
    while (ending != 0) ::pause();
}

void Comm::abort(Exit code) const {
    int running = 0;
    if (!ending.compare_exchange_strong(running, static_cast<int>(code))) stay_if_ending();
    // Even if it is MPI or the devices' network that hangs.
    std::signal(SIGALRM, [](int) { ::_exit(ending); });
    ::alarm(5);
    DeviceNetwork::abort_all();
    if (handle_) MPI_Abort(MPI_COMM_WORLD, static_cast<int>(code));
    std::_Exit(static_cast<int>(code));  // MPI_Abort may return
}

}  // namespace moesweep
