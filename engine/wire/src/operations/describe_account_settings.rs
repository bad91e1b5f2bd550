//! DescribeAccountSettings: tells the settings of the account.

use crate::call::call;
use crate::structure::structure;
use crate::structures::MinimumThroughputBillingCommitmentOutput;

structure! {
    /// A request of DescribeAccountSettings.
    DescribeAccountSettings {}
}

structure! {
    /// An answer of DescribeAccountSettings.
    DescribeAccountSettingsOutput {
        minimum_throughput_billing_commitment: Option<MinimumThroughputBillingCommitmentOutput> =>
            "MinimumThroughputBillingCommitment", MinimumThroughputBillingCommitmentOutput::SHAPE;
    }
}

call!(DescribeAccountSettings => DescribeAccountSettingsOutput);
