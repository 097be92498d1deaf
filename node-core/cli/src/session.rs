//! What every command needs: where the service is, and a connection to it on demand.

use std::time::Instant;

use planetary_ipc::client::ConnectError;
use planetary_ipc::location::{self, Location};
use planetary_ipc::{Absence, Client, Updates, client};

use crate::args::Place;
use crate::failure::Failure;

/// Who we are, for the service's log.
const BUILD: &str = concat!("planetary ", env!("CARGO_PKG_VERSION"));

pub(crate) struct Session {
    pub(crate) location: Location,
}

impl Session {
    pub(crate) fn new(place: &Place) -> Self {
        Self { location: location::locate(place.control.as_deref()) }
    }

    /// Connects for requests alone.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        Ok(self.connect().await?.0)
    }

    /// Connects for requests and updates.
    pub(crate) async fn connect(&self) -> Result<(Client, Updates), Failure> {
        let began = Instant::now();
        let connected = self.try_connect().await;
        connected
            .map_err(|error| Failure::Absent(Absence::of(&error, &self.location, began.elapsed())))
    }

    pub(crate) async fn try_connect(&self) -> Result<(Client, Updates), ConnectError> {
        client::connect(&self.location.path, BUILD).await
    }
}
