//! The service control manager: registration, and the entry through which it starts and stops the
//! service.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use windows_service::service::{
    ServiceAccess, ServiceControl, ServiceControlAccept, ServiceErrorControl, ServiceExitCode,
    ServiceInfo, ServiceStartType, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{self, ServiceControlHandlerResult};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};
use windows_service::{define_windows_service, service_dispatcher};

use crate::args::RunArguments;

const NAME: &str = "planetaryd";

/// How long the service control manager should wait for a stop: two seconds and some air.
const STOP_HINT: Duration = Duration::from_secs(5);

/// How to run. The dispatcher calls a plain function, so it finds its arguments here; set once,
/// before dispatching.
static ARGUMENTS: Mutex<Option<RunArguments>> = Mutex::new(None);

define_windows_service!(entry, service_main);

/// Enters the service into the system's list, to be started with the system; replaces the entry of
/// an older version.
pub(super) fn register(program: &Path) -> Result<(), String> {
    let words = |error: windows_service::Error| error.to_string();
    let access = ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE;
    let manager = ServiceManager::local_computer(None::<&str>, access).map_err(words)?;
    let launch_arguments = super::windows::launch_arguments();
    let info = ServiceInfo {
        name: OsString::from(NAME),
        display_name: OsString::from("Planetary Network node"),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: program.to_owned(),
        launch_arguments: launch_arguments.into_iter().map(OsString::from).collect(),
        dependencies: Vec::new(),
        // LocalSystem.
        account_name: None,
        account_password: None,
    };
    let rights = ServiceAccess::CHANGE_CONFIG | ServiceAccess::START;
    let service = match manager.open_service(NAME, rights) {
        Ok(service) => {
            service.change_config(&info).map_err(words)?;
            service
        }
        Err(_) => manager.create_service(&info, rights).map_err(words)?,
    };
    let description = OsStr::new("Connects this computer to the Planetary Network.");
    service.set_description(description).map_err(words)
}

/// Runs the service under the service control manager until that says stop.
///
/// # Errors
/// When the process was not started by the service control manager. Failures of the service itself
/// are reported to the manager as its exit code.
pub fn run_as_service(arguments: RunArguments) -> Result<(), windows_service::Error> {
    *ARGUMENTS.lock().unwrap_or_else(PoisonError::into_inner) = Some(arguments);
    service_dispatcher::start(NAME, entry)
}

fn service_main(_arguments: Vec<OsString>) {
    let arguments = ARGUMENTS.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(arguments) = arguments else { return };
    let (stop, mut stopped) = watch::channel(false);
    let handler = move |control| match control {
        ServiceControl::Stop | ServiceControl::Shutdown => {
            stop.send_replace(true);
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
        _ => ServiceControlHandlerResult::NotImplemented,
    };
    let Ok(handle) = service_control_handler::register(NAME, handler) else { return };
    let status = |state, accepted, exit_code| ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state: state,
        controls_accepted: accepted,
        exit_code: ServiceExitCode::Win32(exit_code),
        checkpoint: 0,
        wait_hint: STOP_HINT,
        process_id: None,
    };
    let stoppable = ServiceControlAccept::STOP | ServiceControlAccept::SHUTDOWN;
    // A status that cannot be set is nothing the service could do anything about.
    let _ = handle.set_service_status(status(ServiceState::Running, stoppable, 0));
    let told = async move {
        // An error means that the handler is gone, which is as good as being told.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let outcome = crate::lifecycle::run(arguments, told);
    if let Err(error) = &outcome {
        tracing::error!(%error, "the service could not run");
    }
    let ended =
        status(ServiceState::Stopped, ServiceControlAccept::empty(), u32::from(outcome.is_err()));
    let _ = handle.set_service_status(ended);
}
