//! Calls that carry secrets: each asks for a key, seals, and sends.

use super::{Client, RequestError};
use crate::import::{
    Backup, ExportSecret, ForeignSettings, IdentityImport, ImportSecret, SettingsImport,
};
use crate::message::{Reply, Request};
use crate::secret::{Sealed, seal};

impl Client {
    /// Makes a backup of the node's identity that opens with this passphrase.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn export_identity(&self, secret: &ExportSecret) -> Result<Backup, RequestError> {
        let secret = self.seal(secret).await?;
        match self.request(Request::IdentityExport { secret }).await? {
            Reply::Backup(backup) => Ok(backup),
            _ => Err(RequestError::Unexpected),
        }
    }

    /// Takes the identity of a backup or a key file, or says what that would do.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn import_identity(
        &self,
        secret: &ImportSecret,
        dry_run: bool,
        replace: bool,
    ) -> Result<IdentityImport, RequestError> {
        let secret = self.seal(secret).await?;
        match self.request(Request::IdentityImport { secret, dry_run, replace }).await? {
            Reply::IdentityImport(import) => Ok(*import),
            _ => Err(RequestError::Unexpected),
        }
    }

    /// Takes over the settings of another program, or says what that would do.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn import(
        &self,
        settings: &ForeignSettings,
        dry_run: bool,
        replace: bool,
        keep_identity: bool,
    ) -> Result<SettingsImport, RequestError> {
        let secret = self.seal(settings).await?;
        let request = Request::Import { secret, dry_run, replace, keep_identity };
        match self.request(request).await? {
            Reply::Import(report) => Ok(*report),
            _ => Err(RequestError::Unexpected),
        }
    }

    /// Seals a secret to a key that the service makes for it.
    async fn seal<T: serde::Serialize>(&self, secret: &T) -> Result<Sealed, RequestError> {
        let key = self.sealing_key().await?.key;
        let mut pieces = seal(key, secret)?;
        let text = pieces.pop().unwrap_or_default();
        for text in pieces {
            self.sealed_part(Sealed { key, text }).await?;
        }
        Ok(Sealed { key, text })
    }
}
