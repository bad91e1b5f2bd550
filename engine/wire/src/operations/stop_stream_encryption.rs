//! StopStreamEncryption: encrypts no more of what is written.

use crate::call::{Nothing, call};
use crate::names::EncryptionType;
use crate::shapes::{KEY_ID, STREAM_ARN, STREAM_ID, STREAM_NAME};
use crate::structure::structure;

structure! {
    /// A request of StopStreamEncryption.
    StopStreamEncryption {
        stream_name: Option<String> => "StreamName", STREAM_NAME;
        encryption_type: EncryptionType => "EncryptionType", EncryptionType::SHAPE;
        key_id: String => "KeyId", KEY_ID;
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

call!(StopStreamEncryption => Nothing);
