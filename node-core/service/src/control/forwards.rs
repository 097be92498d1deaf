//! Answers about forwarded ports.
//!
//! What a client names here becomes an entry of `forwards.json`, a socket at a loopback address or
//! a port of the node, and a place to connect to in the network or at a loopback address.

use planetary_ipc::{ApiError, ErrorCode, ForwardList, Reply, Request, UnixTime};

use super::Control;
use crate::health::Moment;
use crate::node::ForwardError;
use crate::state::forwards::ForwardsError;

impl Control {
    /// Answers one of the requests about forwarded ports.
    pub(super) async fn answer_about_forwards(&self, request: Request) -> Result<Reply, ApiError> {
        match request {
            Request::ForwardAdd { rule } => {
                let added = self.node.add_forward(rule).await;
                self.told(added.map(Reply::Forward).map_err(forward_error)).await
            }
            Request::ForwardRemove { forward } => {
                let removed = self.node.remove_forward(forward).await;
                self.told(removed.map(Reply::Forward).map_err(forward_error)).await
            }
            _ => {
                let time = UnixTime(Moment::now().unix_s);
                Ok(Reply::Forwards(ForwardList { time, forwards: self.node.forwards() }))
            }
        }
    }
}

fn forward_error(error: ForwardError) -> ApiError {
    let code = match &error {
        ForwardError::Refused(ForwardsError::Wrong(_)) => ErrorCode::InvalidForward,
        ForwardError::Refused(ForwardsError::Exists(_)) => ErrorCode::ForwardExists,
        ForwardError::Refused(ForwardsError::Full) => ErrorCode::ForwardLimit,
        ForwardError::Refused(ForwardsError::NotFound(_)) => ErrorCode::ForwardNotFound,
        ForwardError::CannotListen { .. } => ErrorCode::CannotListen,
        ForwardError::Storage(_) => ErrorCode::SystemRefused,
    };
    ApiError::new(code, error.to_string())
}
