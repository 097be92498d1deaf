//! Names as the running node has them: known while it is up and is to answer them, with the friends
//! of the moment. With an interface the system's resolver is told; without one the gateway answers
//! by itself.

use std::sync::Arc;

use parking_lot::Mutex;
use planetary_circles::names::{self, Zone};
use planetary_ipc::{Names, NodeKey};
use planetary_runtime::Engine;
use tokio::sync::watch;

use super::{Node, core_key};
use crate::names::{Keeper, Place, off, sweep};

/// What answers and what asks.
pub(super) struct Naming {
    /// Present while names are answered.
    keeper: Mutex<Option<Keeper>>,
    told: watch::Sender<Names>,
}

impl Default for Naming {
    fn default() -> Self {
        Self { keeper: Mutex::default(), told: watch::Sender::new(off()) }
    }
}

impl Node {
    /// How names are answered on this computer.
    #[must_use]
    pub fn names(&self) -> Names {
        match &*self.naming.keeper.lock() {
            Some(_) => self.naming.told.borrow().clone(),
            None => off(),
        }
    }

    /// The name of a friend for programs, such as `ada.pln.internal`.
    #[must_use]
    pub fn host_of(&self, key: &NodeKey) -> Option<String> {
        self.friends.lock().labels().get(key).map(names::Label::host)
    }

    /// Removes what a run that was killed has told the system, if this one is to tell it anything.
    pub async fn sweep_names(&self) {
        if self.settings.read().tun(&self.identity()).is_some() {
            sweep().await;
        }
    }

    /// Answers names, or no longer, as the settings say. The caller holds the lock.
    pub(super) async fn reconcile_names(&self, engine: &Engine) {
        let wanted = self.settings.read().config.names;
        if wanted {
            self.tell_names(engine);
        }
        let place = engine
            .tun()
            .filter(|_| wanted)
            .map(|(interface, _)| Place { interface, server: names::server(&engine.key()) });
        let kept = self.naming.keeper.lock().as_ref().map(|keeper| keeper.place().clone());
        if kept != place {
            self.stop_names().await;
            let keeper = place.map(|place| Keeper::start(place, self.naming.told.clone()));
            *self.naming.keeper.lock() = keeper;
        }
        if !wanted {
            engine.set_names(None);
        }
    }

    /// Lets the system forget where names are answered, before they no longer are. The caller holds
    /// the lock.
    pub(super) async fn stop_names(&self) {
        let keeper = self.naming.keeper.lock().take();
        if let Some(keeper) = keeper {
            keeper.stop().await;
        }
    }

    /// Makes the names anew after friends have changed.
    pub(super) fn renew_names(&self) {
        let answers = self.settings.read().config.names;
        if let Some(engine) = self.engine().filter(|_| answers) {
            self.tell_names(&engine);
        }
    }

    fn tell_names(&self, engine: &Engine) {
        let labels = self.friends.lock().labels();
        let friends = labels.iter().map(|(key, label)| (label.clone(), core_key(key)));
        engine.set_names(Some(Arc::new(Zone::new(engine.key(), friends))));
    }
}
