//! UpdateAccountSettings: changes the settings of the account.

use crate::call::call;
use crate::structure::structure;
use crate::structures::{
    MinimumThroughputBillingCommitmentInput, MinimumThroughputBillingCommitmentOutput,
};

structure! {
    /// A request of UpdateAccountSettings.
    UpdateAccountSettings {
        minimum_throughput_billing_commitment: MinimumThroughputBillingCommitmentInput =>
            "MinimumThroughputBillingCommitment", MinimumThroughputBillingCommitmentInput::SHAPE;
    }
}

structure! {
    /// An answer of UpdateAccountSettings.
    UpdateAccountSettingsOutput {
        minimum_throughput_billing_commitment: Option<MinimumThroughputBillingCommitmentOutput> =>
            "MinimumThroughputBillingCommitment", MinimumThroughputBillingCommitmentOutput::SHAPE;
    }
}

call!(UpdateAccountSettings => UpdateAccountSettingsOutput);
