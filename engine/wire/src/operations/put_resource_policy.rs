//! PutResourcePolicy: attaches a policy to a stream or consumer.

use crate::call::{Nothing, call};
use crate::shapes::{FREE_TEXT, RESOURCE_ARN, STREAM_ID};
use crate::structure::structure;

structure! {
    /// A request of PutResourcePolicy.
    PutResourcePolicy {
        resource_arn: String => "ResourceARN", RESOURCE_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
        policy: String => "Policy", FREE_TEXT;
    }
}

call!(PutResourcePolicy => Nothing);
