//! Keys of the terminal, each as it is pressed.
//!
//! A terminal gives its input line by line and shows it. While [`Keys`] lives it does neither, and
//! while [`Unseen`] lives it shows nothing; Ctrl-C and its kind go on to send signals, and who
//! waits for these must let it end.

#[cfg(unix)]
pub(crate) use unix::{Keys, Unseen};

#[cfg(not(unix))]
pub(crate) use other::{Keys, Unseen};

#[cfg(unix)]
mod unix {
    use std::io::{self, Read};
    use std::thread;

    use nix::sys::signal::{SigSet, Signal};
    use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
    use tokio::sync::mpsc;

    pub(crate) struct Keys {
        _mode: Mode,
        pressed: mpsc::UnboundedReceiver<u8>,
    }

    /// Keeps what is typed from being shown, also between two questions.
    pub(crate) struct Unseen {
        _mode: Option<Mode>,
    }

    impl Unseen {
        /// Begins at once. Does nothing when standard input is no terminal.
        pub(crate) fn begin() -> Self {
            Self { _mode: Mode::without(LocalFlags::ECHO) }
        }
    }

    /// A mode of the terminal, which ends with this.
    struct Mode {
        /// How the terminal was.
        before: Termios,
    }

    impl Mode {
        fn without(flags: LocalFlags) -> Option<Self> {
            let before = tcgetattr(io::stdin()).ok()?;
            let mut other = before.clone();
            other.local_flags.remove(flags);
            tcsetattr(io::stdin(), SetArg::TCSADRAIN, &other).ok()?;
            Some(Self { before })
        }
    }

    impl Keys {
        /// Takes the keys of the terminal; `None` when standard input is none.
        pub(crate) fn open() -> Option<Self> {
            let mode = Mode::without(LocalFlags::ICANON | LocalFlags::ECHO)?;
            let (sender, pressed) = mpsc::unbounded_channel();
            let keys = Self { _mode: mode, pressed };
            // It waits for a key to the end of the program, which does not wait for it.
            thread::spawn(move || {
                for key in io::stdin().lock().bytes().map_while(Result::ok) {
                    if sender.send(key).is_err() {
                        break;
                    }
                }
            });
            Some(keys)
        }

        /// Waits until a key is pressed.
        pub(crate) async fn until(&mut self, wanted: u8) {
            while let Some(key) = self.pressed.recv().await {
                if key == wanted {
                    return;
                }
            }
            // The terminal has no more keys to give.
            std::future::pending().await
        }
    }

    impl Drop for Mode {
        fn drop(&mut self) {
            // A program in the background would be stopped here instead of ending.
            let _ = SigSet::from(Signal::SIGTTOU).thread_block();
            // If the terminal is gone there is nothing to restore.
            let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.before);
        }
    }
}

#[cfg(not(unix))]
mod other {
    /// Keys cannot be had one by one here.
    pub(crate) enum Keys {}

    /// The system's own way to ask for something hidden is all there is here.
    pub(crate) struct Unseen;

    impl Unseen {
        pub(crate) fn begin() -> Self {
            Self
        }
    }

    impl Keys {
        pub(crate) fn open() -> Option<Self> {
            None
        }

        pub(crate) fn until(&mut self, _wanted: u8) -> std::future::Pending<()> {
            match *self {}
        }
    }
}
