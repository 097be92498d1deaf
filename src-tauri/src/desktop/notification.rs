//! Notifications of the desktop. The newest takes the place of the one before about the same
//! matter: what was lost and is back need not be read twice.

#[cfg(target_os = "linux")]
pub(super) use linux::Notifications;
#[cfg(not(target_os = "linux"))]
pub(super) use others::Notifications;

#[cfg(not(target_os = "linux"))]
mod others {
    use tauri::AppHandle;
    use tauri_plugin_notification::NotificationExt;

    use crate::controller::{Matter, Notification};

    /// The system's own, which bring the app to the front when they are clicked at, and go by
    /// themselves.
    pub(in crate::desktop) struct Notifications {
        app: AppHandle,
    }

    impl Notifications {
        pub(in crate::desktop) fn new(app: &AppHandle) -> Self {
            Self { app: app.clone() }
        }

        /// Shows one.
        pub(in crate::desktop) fn show(&self, Notification { title, text, .. }: &Notification) {
            if let Err(error) = self.app.notification().builder().title(title).body(text).show() {
                tracing::info!(%error, "no notification");
            }
        }

        /// Takes one back, which cannot be done here.
        pub(in crate::desktop) fn withdraw(&self, _: Matter) {}
    }
}

/// The notification service, as the specification of the desktops has it.
#[cfg(target_os = "linux")]
mod linux {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc::{self, Sender};
    use std::thread;

    use gtk::gio::prelude::*;
    use gtk::gio::{BusType, Cancellable, DBusCallFlags, DBusSignalFlags, bus_get_sync};
    use gtk::glib::{Error, Variant, VariantTy};
    use tauri::AppHandle;

    use crate::app;
    use crate::controller::{Matter, Notification, Shell, View};

    const SERVICE: &str = "org.freedesktop.Notifications";
    const PATH: &str = "/org/freedesktop/Notifications";
    const APP: &str = "Planetary Network";
    const ICON: &str = "planetary-network";
    const PATIENCE_MS: i32 = 3_000;
    /// As long as the desktop shows such things.
    const EXPIRES: i32 = -1;
    /// What a click at the notification itself is called.
    const CLICK: &str = "default";

    /// A thread that waits for the desktop, so that nobody else does.
    pub(in crate::desktop) struct Notifications {
        orders: Sender<Order>,
    }

    enum Order {
        Show(Notification),
        Withdraw(Matter),
    }

    impl Notifications {
        /// Hears of clicks on the thread it is called on, which is the one of the windows.
        pub(in crate::desktop) fn new(app: &AppHandle) -> Self {
            let shown = Arc::new(Shown::default());
            hear(app.clone(), Arc::clone(&shown));
            let (orders, taken) = mpsc::channel();
            thread::spawn(move || {
                for order in taken {
                    shown.carry_out(order);
                }
            });
            Self { orders }
        }

        /// Shows one, in place of the one before about the same matter.
        pub(in crate::desktop) fn show(&self, notification: &Notification) {
            // The thread lives as long as this does.
            let _ = self.orders.send(Order::Show(notification.clone()));
        }

        /// Takes one back.
        pub(in crate::desktop) fn withdraw(&self, matter: Matter) {
            let _ = self.orders.send(Order::Withdraw(matter));
        }
    }

    /// The desktop's numbers of those that were shown last, 0 for none.
    #[derive(Default)]
    struct Shown {
        connection: AtomicU32,
        question: AtomicU32,
    }

    impl Shown {
        fn number(&self, matter: Matter) -> &AtomicU32 {
            match matter {
                Matter::Connection => &self.connection,
                Matter::Question => &self.question,
            }
        }

        fn carry_out(&self, order: Order) {
            let done = match order {
                Order::Show(notification) => {
                    let number = self.number(notification.matter);
                    notify(number.load(Ordering::Relaxed), &notification)
                        .map(|new| number.store(new, Ordering::Relaxed))
                }
                Order::Withdraw(matter) => match self.number(matter).swap(0, Ordering::Relaxed) {
                    0 => Ok(()),
                    number => close(number),
                },
            };
            if let Err(error) = done {
                tracing::info!(%error, "no notification");
            }
        }
    }

    fn hear(app: AppHandle, shown: Arc<Shown>) {
        let bus = match bus_get_sync(BusType::Session, None::<&Cancellable>) {
            Ok(bus) => bus,
            Err(error) => {
                tracing::debug!(%error, "no session bus");
                return;
            }
        };
        let clicked = move |number: u32| {
            let Some(controller) = app::controller(&app) else { return };
            if number == shown.question.load(Ordering::Relaxed) {
                controller.show(View::Questions);
            } else if number == shown.connection.load(Ordering::Relaxed) {
                controller.shell().show_window();
            }
        };
        bus.signal_subscribe(
            Some(SERVICE),
            Some(SERVICE),
            Some("ActionInvoked"),
            Some(PATH),
            None,
            DBusSignalFlags::NONE,
            // Everybody's clicks come here.
            move |_, _, _, _, _, signal| match signal.get::<(u32, String)>() {
                Some((0, _)) | None => {}
                Some((number, _)) => clicked(number),
            },
        );
    }

    fn notify(
        replaces: u32,
        Notification { title, text, .. }: &Notification,
    ) -> Result<u32, Error> {
        let actions = vec![CLICK.to_owned(), String::new()];
        let hints = HashMap::<String, Variant>::new();
        let shown = (APP, replaces, ICON, title, text, actions, hints, EXPIRES).to_variant();
        let answer = call("Notify", &shown)?;
        Ok(answer.get::<(u32,)>().map_or(0, |(number,)| number))
    }

    fn close(number: u32) -> Result<(), Error> {
        call("CloseNotification", &(number,).to_variant()).map(drop)
    }

    fn call(method: &str, arguments: &Variant) -> Result<Variant, Error> {
        bus_get_sync(BusType::Session, None::<&Cancellable>)?.call_sync(
            Some(SERVICE),
            PATH,
            SERVICE,
            method,
            Some(arguments),
            None::<&VariantTy>,
            DBusCallFlags::NONE,
            PATIENCE_MS,
            None::<&Cancellable>,
        )
    }
}
