//! GetResourcePolicy: tells the policy of a stream or consumer.

use crate::call::call;
use crate::shapes::{FREE_TEXT, RESOURCE_ARN, STREAM_ID};
use crate::structure::structure;

structure! {
    /// A request of GetResourcePolicy.
    GetResourcePolicy {
        resource_arn: String => "ResourceARN", RESOURCE_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

structure! {
    /// An answer of GetResourcePolicy.
    GetResourcePolicyOutput {
        policy: String => "Policy", FREE_TEXT;
    }
}

call!(GetResourcePolicy => GetResourcePolicyOutput);
