//! A GPU's decoder that cannot be had: the CPU decodes the same frames, and the reason is told.

use kinora_media::{DecodeOptions, Decoding, FrameReader, OpenOptions};

use super::support::*;

/// No machine has so many.
const NO_SUCH_GPU: u32 = 4_095;

fn reader(clip: &std::path::Path, gpu: Option<u32>) -> FrameReader {
    let decode = DecodeOptions { gpu, ..DecodeOptions::default() };
    FrameReader::open(&address(clip), &OpenOptions::default(), &decode).unwrap()
}

#[test]
fn without_the_gpu_the_cpu_decodes_and_the_reason_is_told() {
    let folder = Folder::new();
    let clip = folder.clip("a.mp4", 12);
    let (mut asked, mut plain) = (reader(&clip, Some(NO_SUCH_GPU)), reader(&clip, None));
    let told = asked.decoding().to_string();
    assert!(told.starts_with("cpu: cannot open the GPU's decoder: "), "{told}");
    assert_eq!(plain.decoding(), &Decoding::Cpu);
    let (found, expected) = (read_all(&mut asked), read_all(&mut plain));
    assert_eq!((found.error.is_none(), found.frames.len()), (true, 12));
    for ((found, _), (expected, _)) in found.frames.iter().zip(&expected.frames) {
        assert_eq!(fingerprint(found), fingerprint(expected));
    }
}

#[test]
fn a_codec_that_no_gpu_knows_is_decoded_by_the_cpu_without_asking_one() {
    let folder = Folder::new();
    let clip = folder.make("a.avi", &format!("{} -c:v ffv1 -pix_fmt gray", source(3)));
    let mut reader = reader(&clip, Some(0));
    assert_eq!(
        reader.decoding(),
        &Decoding::Instead("H.264 and H.265 are decoded there, and this is neither".into())
    );
    assert_eq!(read_all(&mut reader).frames.len(), 3);
}
