//! DeleteResourcePolicy: removes a policy.

use crate::call::{Nothing, call};
use crate::shapes::{RESOURCE_ARN, STREAM_ID};
use crate::structure::structure;

structure! {
    /// A request of DeleteResourcePolicy.
    DeleteResourcePolicy {
        resource_arn: String => "ResourceARN", RESOURCE_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

call!(DeleteResourcePolicy => Nothing);
