//! DeleteStream: removes a stream with all its records.

use crate::call::{Nothing, call};
use crate::shapes::{BOOLEAN, STREAM_ARN, STREAM_ID, STREAM_NAME};
use crate::structure::structure;

structure! {
    /// A request of DeleteStream.
    DeleteStream {
        stream_name: Option<String> => "StreamName", STREAM_NAME;
        enforce_consumer_deletion: Option<bool> => "EnforceConsumerDeletion", BOOLEAN;
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

call!(DeleteStream => Nothing);
