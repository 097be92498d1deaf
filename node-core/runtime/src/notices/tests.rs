use std::time::Duration;

use super::*;

#[tokio::test]
async fn nothing_is_told_while_nothing_changes() {
    let notices = Notices::open();
    let told = tokio::time::timeout(Duration::from_millis(50), async {
        // A busy machine may tell of what others do; not without end.
        for _ in 0..1000 {
            notices.next().await;
        }
    });
    assert!(told.await.is_err());
}

/// In a network namespace of its own, so that nothing of the machine is touched.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "needs root"]
fn an_interface_that_comes_up_is_told() {
    use rustix::thread::{UnshareFlags, unshare_unsafe};

    let told = std::thread::spawn(|| {
        // SAFETY: nothing of this thread's memory or descriptors is shared differently by it.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let notices = Notices::open();
            let up = std::process::Command::new("ip").args(["link", "set", "lo", "up"]).status();
            assert!(up.unwrap().success());
            tokio::time::timeout(Duration::from_secs(5), notices.next()).await
        })
    });
    told.join().unwrap().unwrap();
}
