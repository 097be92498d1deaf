//! Keys of the terminal, each as it is pressed.
//!
//! A terminal gives its input line by line and shows it. While [`Keys`] lives it does neither;
//! Ctrl-C and its kind go on to send signals, and who waits for these must let it end.

#[cfg(unix)]
pub(crate) use unix::Keys;

#[cfg(not(unix))]
pub(crate) use other::Keys;

#[cfg(unix)]
mod unix {
    use std::io::{self, Read};
    use std::thread;

    use nix::sys::signal::{SigSet, Signal};
    use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
    use tokio::sync::mpsc;

    pub(crate) struct Keys {
        /// How the terminal was.
        before: Termios,
        pressed: mpsc::UnboundedReceiver<u8>,
    }

    impl Keys {
        /// Takes the keys of the terminal; `None` when standard input is none.
        pub(crate) fn open() -> Option<Self> {
            let before = tcgetattr(io::stdin()).ok()?;
            let mut single = before.clone();
            single.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
            tcsetattr(io::stdin(), SetArg::TCSADRAIN, &single).ok()?;
            let (sender, pressed) = mpsc::unbounded_channel();
            let keys = Self { before, pressed };
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

    impl Drop for Keys {
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

    impl Keys {
        pub(crate) fn open() -> Option<Self> {
            None
        }

        pub(crate) fn until(&mut self, _wanted: u8) -> std::future::Pending<()> {
            match *self {}
        }
    }
}
