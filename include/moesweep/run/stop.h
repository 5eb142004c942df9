// Signals that ask a run to stop.
#pragma once

namespace moesweep {

/// True once USR1, TERM or INT has come; installs the handlers when first called. A second signal ends the process.
bool stop_requested();

}  // namespace moesweep
