//! The service control manager: registration, and the entry through which it starts and stops the
//! service.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use windows_service::service::{
    Service, ServiceAccess, ServiceAction, ServiceActionType, ServiceControl, ServiceControlAccept,
    ServiceErrorControl, ServiceExitCode, ServiceFailureActions, ServiceFailureResetPeriod,
    ServiceInfo, ServiceStartType, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{
    self, ServiceControlHandlerResult, ServiceStatusHandle,
};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};
use windows_service::{define_windows_service, service_dispatcher};
use windows_sys::Win32::Foundation::{
    ERROR_INVALID_LEVEL, ERROR_SERVICE_ALREADY_RUNNING, ERROR_SERVICE_DOES_NOT_EXIST,
    ERROR_SERVICE_MARKED_FOR_DELETE, ERROR_SERVICE_NOT_ACTIVE,
};
use windows_sys::Win32::System::Threading::{
    OpenProcess, PROCESS_SYNCHRONIZE, WaitForSingleObject,
};

use super::{HOME, PROGRAM, launch_arguments};
use crate::args::RunArguments;
use crate::lifecycle::News;
use crate::log::file::LogFile;

const NAME: &str = "planetaryd";

/// How long the service control manager should wait for a start: an adapter that has to be
/// installed first takes most of it.
const START_HINT: Duration = Duration::from_secs(30);

/// How long the service control manager should wait for a stop: two seconds and some air.
const STOP_HINT: Duration = Duration::from_secs(5);

/// How long an installation waits for either.
const PATIENCE: Duration = Duration::from_secs(40);

/// How often it looks.
const LOOK: Duration = Duration::from_millis(100);

/// After how long the service is started again when it has failed, once, twice and more often. A
/// day without a failure starts the count anew.
const RECOVERY: [Duration; 3] =
    [Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(60)];
const RECOVERY_FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);

/// How to run. The dispatcher calls a plain function, so it finds its arguments here; set once,
/// before dispatching.
static ARGUMENTS: Mutex<Option<RunArguments>> = Mutex::new(None);

/// Where to tell how far the service is, while there is somebody to tell.
static MANAGER: Mutex<Option<ServiceStatusHandle>> = Mutex::new(None);

define_windows_service!(entry, service_main);

/// Enters the service into the system's list, to be started with the system and again after a
/// failure; replaces the entry of an older version.
pub(super) fn register(_: &Path) -> Result<(), String> {
    let access = ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE;
    let manager = ServiceManager::local_computer(None::<&str>, access).map_err(words)?;
    let info = ServiceInfo {
        name: OsString::from(NAME),
        display_name: OsString::from("Planetary Network node"),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: PROGRAM.into(),
        launch_arguments: launch_arguments().into_iter().map(OsString::from).collect(),
        dependencies: Vec::new(),
        // LocalSystem.
        account_name: None,
        account_password: None,
    };
    // The right to start is needed to say that it is to be started again.
    let rights = ServiceAccess::CHANGE_CONFIG | ServiceAccess::START;
    let service = match manager.open_service(NAME, rights) {
        Ok(service) => {
            service.change_config(&info).map_err(words)?;
            service
        }
        Err(_) => manager.create_service(&info, rights).map_err(words)?,
    };
    let description = OsStr::new("Connects this computer to the Planetary Network.");
    service.set_description(description).map_err(words)?;
    let restart = |delay| ServiceAction { action_type: ServiceActionType::Restart, delay };
    let recovery = ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(RECOVERY_FORGOTTEN),
        reboot_msg: None,
        command: None,
        actions: Some(RECOVERY.map(restart).to_vec()),
    };
    where_known(service.update_failure_actions(recovery))?;
    // An end with an error counts as well as a crash.
    where_known(service.set_failure_actions_on_non_crash_failures(true))
}

/// Systems that imitate this one do not know all there is to say of a service.
fn where_known(said: windows_service::Result<()>) -> Result<(), String> {
    match said {
        Err(error) if code(&error) == Some(ERROR_INVALID_LEVEL) => Ok(()),
        said => said.map_err(words),
    }
}

/// Starts the service, and waits until it answers.
pub(super) fn start(_: &Path) -> Result<(), String> {
    let rights = ServiceAccess::START | ServiceAccess::QUERY_STATUS;
    let service = open(rights)?.ok_or("it is not registered")?;
    match service.start::<&OsStr>(&[]) {
        Err(error) if code(&error) != Some(ERROR_SERVICE_ALREADY_RUNNING) => {
            return Err(words(error));
        }
        _ => {}
    }
    match wait(&service, |state| state != ServiceState::StartPending)? {
        ServiceState::Running => Ok(()),
        _ => Err(format!(r"it ended at once; {HOME}\planetaryd.log says why")),
    }
}

/// Stops the service if it is there and runs, and waits for the end of its process, which holds
/// files for a moment longer than it is listed.
pub(super) fn stop(_: &Path) -> Result<(), String> {
    let Some(service) = open(ServiceAccess::STOP | ServiceAccess::QUERY_STATUS)? else {
        return Ok(());
    };
    let process = service.query_status().map_err(words)?.process_id.and_then(Process::open);
    match service.stop() {
        Err(error) if code(&error) != Some(ERROR_SERVICE_NOT_ACTIVE) => {
            // It may be on its way already, in either direction.
            let state = service.query_status().map_err(words)?.current_state;
            if state != ServiceState::StopPending {
                return Err(words(error));
            }
        }
        _ => {}
    }
    wait(&service, |state| state == ServiceState::Stopped)?;
    if let Some(process) = process {
        process.wait();
    }
    Ok(())
}

/// A process whose end can be waited for.
struct Process(OwnedHandle);

impl Process {
    fn open(id: u32) -> Option<Self> {
        // SAFETY: it takes numbers alone; what it gives is ours to close.
        let handle = unsafe { OpenProcess(PROCESS_SYNCHRONIZE, 0, id) };
        // SAFETY: the handle was just opened, and nobody else closes it.
        (!handle.is_null()).then(|| Self(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    fn wait(&self) {
        let patience_ms = u32::try_from(PATIENCE.as_millis()).unwrap_or(u32::MAX);
        // SAFETY: the handle is open. Whatever comes of it, the service is no longer listed.
        unsafe { WaitForSingleObject(self.0.as_raw_handle(), patience_ms) };
    }
}

/// Takes the service out of the system's list.
pub(super) fn unregister(_: &Path) -> Result<(), String> {
    let Some(service) = open(ServiceAccess::DELETE)? else { return Ok(()) };
    match service.delete() {
        Err(error) if code(&error) != Some(ERROR_SERVICE_MARKED_FOR_DELETE) => Err(words(error)),
        _ => Ok(()),
    }
}

/// Opens the service; `None` when it is not in the list.
fn open(rights: ServiceAccess) -> Result<Option<Service>, String> {
    let access = ServiceManagerAccess::CONNECT;
    let manager = ServiceManager::local_computer(None::<&str>, access).map_err(words)?;
    match manager.open_service(NAME, rights) {
        Ok(service) => Ok(Some(service)),
        Err(error) if code(&error) == Some(ERROR_SERVICE_DOES_NOT_EXIST) => Ok(None),
        Err(error) => Err(words(error)),
    }
}

/// Waits for a state; returns it.
fn wait(
    service: &Service,
    is_wanted: impl Fn(ServiceState) -> bool,
) -> Result<ServiceState, String> {
    let begun = Instant::now();
    loop {
        let state = service.query_status().map_err(words)?.current_state;
        if is_wanted(state) {
            return Ok(state);
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("it is {state:?} still"));
        }
        thread::sleep(LOOK);
    }
}

/// The system's own words, which the library keeps behind its own.
fn words(error: windows_service::Error) -> String {
    match error {
        windows_service::Error::Winapi(error) => error.to_string(),
        error => error.to_string(),
    }
}

fn code(error: &windows_service::Error) -> Option<u32> {
    match error {
        windows_service::Error::Winapi(error) => error.raw_os_error().map(i32::cast_unsigned),
        _ => None,
    }
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
        ServiceControl::Stop | ServiceControl::Preshutdown => {
            stop.send_replace(true);
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
        _ => ServiceControlHandlerResult::NotImplemented,
    };
    let Ok(handle) = service_control_handler::register(NAME, handler) else { return };
    *MANAGER.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
    report(ServiceState::StartPending, START_HINT, 0);
    let told = async move {
        // An error means that the handler is gone, which is as good as being told.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let log = arguments.log_file.clone();
    let outcome = crate::lifecycle::run(arguments, told);
    if let (Err(error), Some(log)) = (&outcome, log) {
        // What failed may be what comes before the log, and nobody sees standard error.
        let _ = note(&log, &format!("the service could not run: {error}"));
    }
    report(ServiceState::Stopped, Duration::ZERO, u32::from(outcome.is_err()));
}

fn note(log: &Path, text: &str) -> io::Result<()> {
    use std::io::Write;
    (&LogFile::open(log)?).write_all(format!("{text}\n").as_bytes())
}

/// Tells the service control manager how far the service is, if that has started it.
pub(crate) fn tell(news: News) {
    match news {
        News::Ready => report(ServiceState::Running, Duration::ZERO, 0),
        News::Stopping => report(ServiceState::StopPending, STOP_HINT, 0),
    }
}

fn report(state: ServiceState, wait_hint: Duration, exit_code: u32) {
    let manager = MANAGER.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(manager) = *manager else { return };
    // Before a shutdown, while the network is still there, and not in the middle of it.
    let controls_accepted = match state {
        ServiceState::Running => ServiceControlAccept::STOP | ServiceControlAccept::PRESHUTDOWN,
        _ => ServiceControlAccept::empty(),
    };
    // A status that cannot be set is nothing the service could do anything about.
    let _ = manager.set_service_status(ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state: state,
        controls_accepted,
        exit_code: ServiceExitCode::Win32(exit_code),
        checkpoint: 0,
        wait_hint,
        process_id: None,
    });
}
