//! Exit codes of what goes wrong on the way.

use crate::catalog::AddressError;
use crate::http::TransferError;
use crate::layer::LayerError;
use crate::reference::ReferenceError;
use plyos_report::{ExitCode, Failure};

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        let code = match &error {
            TransferError::NotFound { .. } => ExitCode::NotFound,
            TransferError::Digest { .. } => ExitCode::Signature,
            TransferError::File { .. } => ExitCode::Failure,
            TransferError::Network { .. } | TransferError::Refused { .. } | TransferError::Length { .. } => {
                ExitCode::Network
            }
        };
        Self::new(code, error.to_string())
    }
}

impl From<LayerError> for Failure {
    fn from(error: LayerError) -> Self {
        match error {
            LayerError::Transfer(error) => error.into(),
            other => Self::new(ExitCode::Signature, other.to_string()),
        }
    }
}

impl From<ReferenceError> for Failure {
    fn from(error: ReferenceError) -> Self {
        Self::new(ExitCode::Usage, error.to_string())
    }
}

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Self {
        Self::new(ExitCode::Usage, error.to_string())
    }
}
