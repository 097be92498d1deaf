//! What the engine tells its owner unasked: messages of other nodes, who came to the door, and that
//! this machine is in another network.

use std::sync::Arc;

use planetary_circles::{Notice, Reached};
use planetary_proto::{ExtensionMessage, NodeKey};
use tokio::sync::mpsc::{Sender, error::TrySendError};

use crate::data::{DataPlane, count};

/// Something that happened, for whoever owns the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum News {
    /// Another node asks something; [`crate::Engine::answer`] takes the answer, with the same
    /// number. The same request may come more than once.
    Message {
        /// Who asks: a person, or for a request to join a circle anybody.
        from: NodeKey,
        /// What.
        message: ExtensionMessage,
    },
    /// The answer to a request of ours.
    Answered {
        /// Whose.
        from: NodeKey,
        /// The number of the request.
        id: u32,
        /// What it says.
        answer: ExtensionMessage,
    },
    /// A request of ours was not answered within eight seconds.
    Unanswered {
        /// Who was asked.
        to: NodeKey,
        /// The number of the request.
        id: u32,
    },
    /// The addresses, the way to the internet or the name servers of this machine have changed.
    NetworkChanged,
    /// Somebody has opened a flow here. Told at most four times a second for the same service.
    Opened {
        /// Who.
        from: NodeKey,
        /// What was reached.
        service: Reached,
    },
    /// A person was not let in because no rule names the service, likewise.
    Refused {
        /// Who.
        from: NodeKey,
        /// What was not reached.
        service: Reached,
    },
    /// A person wants to reach something that no rule names: a question that waits for
    /// [`crate::Engine::settle_knock`] for 30 s from now.
    Knocked {
        /// Who.
        from: NodeKey,
        /// What is to be reached.
        service: Reached,
    },
}

/// The way of news to the owner, which never waits: what finds no room is lost and counted.
pub(crate) struct NewsSender {
    channel: Sender<News>,
    data: Arc<DataPlane>,
}

impl NewsSender {
    pub(crate) const fn new(channel: Sender<News>, data: Arc<DataPlane>) -> Self {
        Self { channel, data }
    }

    pub(crate) fn tell(&self, news: News) {
        // An owner that has dropped its end does not want to know.
        if let Err(TrySendError::Full(_)) = self.channel.try_send(news) {
            count(&self.data.counters.news_lost);
        }
    }

    /// Visits leave half of the room to messages, which somebody waits for.
    pub(crate) fn tell_notices(&self, notices: Vec<Notice>) {
        for notice in notices {
            let is_visit = !matches!(notice, Notice::Knocked(..));
            if is_visit && self.channel.capacity() <= self.channel.max_capacity() / 2 {
                count(&self.data.counters.news_lost);
            } else {
                self.tell(notice.into());
            }
        }
    }
}

impl From<Notice> for News {
    fn from(notice: Notice) -> Self {
        match notice {
            Notice::Opened(from, service) => Self::Opened { from, service },
            Notice::Refused(from, service) => Self::Refused { from, service },
            Notice::Knocked(from, service) => Self::Knocked { from, service },
        }
    }
}
