//! What is written must be read again: pictures, sound, names, bytes.

use std::path::Path;

use kinora_media::{
    AudioSettings, AudioTrack, ColorMatrix, ColorRange, ErrorKind, Input, Item, Mp4Writer, OpenOptions,
    PacketKind, Preset, VideoSettings, YuvImage,
};

use super::support::*;

const SIZE: (usize, usize) = (320, 180);

/// A bright disc that moves over a gradient.
fn picture(index: usize) -> YuvImage {
    let mut image = YuvImage::new(SIZE.0, SIZE.1);
    let (cx, cy) = (40 + 4 * index as i64, 90);
    for y in 0..SIZE.1 {
        for x in 0..SIZE.0 {
            let (dx, dy) = (x as i64 - cx, y as i64 - cy);
            let luma = if dx * dx + dy * dy < 900 { 220 } else { 40 + (x / 4 + y / 4) as u8 };
            image.y[y * image.y_stride + x] = luma;
        }
    }
    image.u.fill(110);
    image.v.fill(150);
    image
}

fn settings() -> VideoSettings {
    VideoSettings { preset: Preset::Veryfast, ..VideoSettings::new(SIZE.0, SIZE.1, (60, 1)) }
}

/// 60 pictures and a second of a 440 Hz tone in two channels.
fn write(path: &Path, settings: &VideoSettings) {
    let audio = AudioTrack::Encode(AudioSettings::new(48_000, 2));
    let mut writer = Mp4Writer::create(path, settings, audio).unwrap();
    for index in 0..60 {
        writer.write_video(&picture(index)).unwrap();
        let tone = |n: usize| (n as f32 * 440.0 * std::f32::consts::TAU / 48_000.0).sin() * 0.5;
        let samples: Vec<f32> = (index * 800..(index + 1) * 800).flat_map(|n| [tone(n), -tone(n)]).collect();
        writer.write_audio(&samples).unwrap();
    }
    assert!(!path.exists(), "it has its name only when it is whole");
    writer.finish().unwrap();
}

fn psnr(a: &YuvImage, b: &YuvImage) -> f64 {
    let squares: u64 = a.y.iter().zip(&b.y).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    10.0 * (255.0 * 255.0 * a.y.len() as f64 / squares.max(1) as f64).log10()
}

#[test]
fn pictures_and_sound_come_back() {
    let folder = Folder::new();
    let path = folder.file("a.mp4");
    write(&path, &VideoSettings { creation_time_us: Some(1_795_324_265_000_000), ..settings() });
    let mut reader = open(&path);
    let info = reader.input().video();
    assert_eq!((&*info.codec, info.width, info.height, info.frames), ("h264", SIZE.0, SIZE.1, Some(60)));
    assert_eq!((info.frame_rate, &*info.pixel_format), (Some((60, 1)), "yuv420p"));
    assert_eq!(info.creation_time_us, Some(1_795_324_265_000_000));
    assert!((info.duration_us.unwrap() - 1_000_000).abs() < 1_000, "{:?}", info.duration_us);
    let audio = reader.input().audio().unwrap();
    assert_eq!((&*audio.codec, audio.sample_rate, audio.channels), ("aac", 48_000, 2));
    let all = read_all(&mut reader);
    assert_eq!((all.account.frames, all.account.lost, all.error), (60, 0, None));
    for (index, (frame, _)) in all.frames.iter().enumerate() {
        assert_eq!((frame.color_range(), frame.color_matrix()), (ColorRange::Limited, ColorMatrix::Bt709));
        let quality = psnr(&YuvImage::from_frame(frame).unwrap(), &picture(index));
        assert!(quality > 35.0, "frame {index}: {quality} dB");
    }
}

#[test]
fn the_sound_is_the_tone_that_was_written() {
    let folder = Folder::new();
    let path = folder.file("a.mp4");
    write(&path, &settings());
    let pcm = folder.make("a.f32", &format!("-i {} -map 0:a -ac 2 -f f32le", path.display()));
    let bytes = std::fs::read(pcm).unwrap();
    let samples: Vec<f32> =
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    assert!(samples.len() / 2 >= 48_000 && samples.len() / 2 < 50_000, "{}", samples.len() / 2);
    let middle = &samples[2 * 10_000..2 * 40_000];
    let power = middle.iter().map(|s| s * s).sum::<f32>() / middle.len() as f32;
    assert!((power.sqrt() - 0.5 / 2.0_f32.sqrt()).abs() < 0.02, "{}", power.sqrt());
    let crossings =
        middle.chunks_exact(2).zip(middle.chunks_exact(2).skip(1)).filter(|(a, b)| a[0] <= 0.0 && b[0] > 0.0);
    assert!((crossings.count() as i64 - 440 * 30_000 / 48_000).abs() <= 1);
}

#[test]
fn the_same_input_gives_the_same_bytes_whatever_was_in_memory() {
    let folder = Folder::new();
    let write = |name: &str, fill: &str| {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--ignored", "--exact", "media::mp4::write_in_a_process_of_its_own"]);
        // The C library fills memory that is allocated or freed with this byte.
        let output = child.env(TARGET, folder.file(name)).env("MALLOC_PERTURB_", fill).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        std::fs::read(folder.file(name)).unwrap()
    };
    let bytes = write("0.mp4", "0");
    for fill in ["1", "85", "170", "255"] {
        let other = write(&format!("{fill}.mp4"), fill);
        let first = bytes.iter().zip(&other).position(|(a, b)| a != b);
        assert_eq!((first, bytes.len()), (None, other.len()), "memory filled with {fill}");
    }
    let find = |name: &[u8]| bytes.windows(4).position(|window| window == name).unwrap();
    assert!(find(b"moov") < find(b"mdat"), "a browser finds the index at the front");
}

const TARGET: &str = "KINORA_MEDIA_TEST_TARGET";

#[test]
#[ignore = "run by the_same_input_gives_the_same_bytes_whatever_was_in_memory"]
fn write_in_a_process_of_its_own() {
    write(Path::new(&std::env::var(TARGET).unwrap()), &settings());
}

#[test]
fn what_is_not_finished_leaves_nothing() {
    let folder = Folder::new();
    let path = folder.file("a.mp4");
    let mut writer = Mp4Writer::create(&path, &settings(), AudioTrack::None).unwrap();
    writer.write_video(&picture(0)).unwrap();
    let [part] = &folder.names()[..] else { panic!("{:?}", folder.names()) };
    assert!(part.starts_with("a.mp4.") && part.ends_with(".part"), "{part}");
    drop(writer);
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn two_writers_of_one_file_do_not_write_into_each_other() {
    let folder = Folder::new();
    let path = folder.file("a.mp4");
    let create = || Mp4Writer::create(&path, &settings(), AudioTrack::None).unwrap();
    let (mut one, mut two) = (create(), create());
    assert_eq!(folder.names().len(), 2);
    one.write_video(&picture(0)).unwrap();
    for index in 0..3 {
        two.write_video(&picture(index)).unwrap();
    }
    one.finish().unwrap();
    assert_eq!(probe_frames(&path), 1);
    two.finish().unwrap();
    assert_eq!((probe_frames(&path), folder.names()), (3, vec!["a.mp4".to_owned()]));
}

#[test]
fn what_is_no_file_is_not_replaced_by_one() {
    let folder = Folder::new();
    let pipe = folder.pipe("pipe");
    let link = folder.file("link-to-pipe");
    std::os::unix::fs::symlink("pipe", &link).unwrap();
    let circle = folder.file("circle");
    std::os::unix::fs::symlink("circle", &circle).unwrap();
    let before = folder.names();
    for (path, kind, named) in [
        (pipe.as_path(), ErrorKind::InvalidSettings, pipe.as_path()),
        (&link, ErrorKind::InvalidSettings, &pipe),
        (&circle, ErrorKind::InvalidSettings, &circle),
        (&folder.file("."), ErrorKind::IsDirectory, &folder.file(".")),
        (Path::new("/"), ErrorKind::IsDirectory, Path::new("/")),
        (Path::new(""), ErrorKind::NotFound, Path::new("")),
    ] {
        let error = Mp4Writer::create(path, &settings(), AudioTrack::None).err().unwrap();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(&format!("`{}`", named.display())), "{error}");
    }
    assert_eq!(folder.names(), before);
    // One that came while the file grew.
    let path = folder.file("late.mp4");
    let writer = Mp4Writer::create(&path, &settings(), AudioTrack::None).unwrap();
    folder.pipe("late.mp4");
    assert_eq!(writer.finish().unwrap_err().kind(), ErrorKind::InvalidSettings);
    assert!(!std::fs::metadata(&path).unwrap().is_file());
    assert_eq!(folder.names().len(), before.len() + 1);
}

#[test]
fn a_link_stays_and_what_it_names_is_written() {
    let folder = Folder::new();
    std::fs::create_dir(folder.file("far")).unwrap();
    // One names a file that is there, one a file that is not.
    folder.write("far/old.mp4", b"old");
    for name in ["old.mp4", "new.mp4"] {
        let (link, path) = (folder.file(name), folder.file("far").join(name));
        std::os::unix::fs::symlink(format!("far/{name}"), &link).unwrap();
        let mut writer = Mp4Writer::create(&link, &settings(), AudioTrack::None).unwrap();
        writer.write_video(&picture(0)).unwrap();
        writer.finish().unwrap();
        assert!(link.is_symlink() && !path.is_symlink());
        assert_eq!(probe_frames(&path), 1);
    }
}

#[test]
fn a_variable_frame_rate_survives() {
    let folder = Folder::new();
    // Steps from 4 ms to a second, more pictures than the encoder keeps for its B frames.
    let steps = [33_333, 4_000, 250_000, 40_000, 1_000_000, 16_667, 100_000].into_iter().cycle();
    let times: Vec<i64> =
        steps.take(60).scan(7_000_000, |at, step| Some(std::mem::replace(at, *at + step))).collect();
    let path = folder.file("a.mp4");
    let settings = VideoSettings::new(SIZE.0, SIZE.1, (30_000, 1_001));
    let mut writer = Mp4Writer::create(&path, &settings, AudioTrack::None).unwrap();
    for (index, time) in times.iter().enumerate() {
        writer.write_video_at(&picture(index), *time).unwrap();
    }
    writer.finish().unwrap();
    let mut input = Input::open(&address(&path), &options()).unwrap();
    let mut found = Vec::new();
    while let Some(packet) = input.read().unwrap() {
        let (num, den) = packet.time_base();
        found.push(packet.pts().unwrap() * i64::from(num) * 1_000_000 / i64::from(den));
    }
    found.sort_unstable();
    assert_eq!(found.len(), times.len());
    for (found, time) in found.iter().zip(&times) {
        assert!((found - (time - times[0])).abs() <= 12, "{found} {}", time - times[0]);
    }
}

#[test]
fn a_constant_frame_rate_is_exact() {
    let folder = Folder::new();
    for rate in [(24_000, 1_001), (30_000, 1_001), (25, 1), (1, 2)] {
        let path = folder.file("a.mp4");
        let settings = VideoSettings::new(SIZE.0, SIZE.1, rate);
        let mut writer = Mp4Writer::create(&path, &settings, AudioTrack::None).unwrap();
        for index in 0..24 {
            writer.write_video(&picture(index)).unwrap();
        }
        writer.finish().unwrap();
        let mut input = Input::open(&address(&path), &options()).unwrap();
        assert_eq!(input.video().frame_rate, Some(rate));
        let base = input.video().time_base;
        let mut times: Vec<i64> =
            std::iter::from_fn(|| input.read().unwrap()).map(|packet| packet.pts().unwrap()).collect();
        times.sort_unstable();
        for (index, time) in times.iter().enumerate() {
            let (ours, exact) =
                (time * i64::from(base.0) * i64::from(rate.0), index as i64 * i64::from(rate.1));
            assert_eq!(ours, exact * i64::from(base.1), "{rate:?} {index}");
        }
    }
}

#[test]
fn sound_is_copied_packet_by_packet() {
    let folder = Folder::new();
    let sound = "-f lavfi -i sine=sample_rate=48000 -t 2 -c:a aac";
    // A transport stream begins at 1.4 s; the copy must begin at 0.
    let source = folder.make("a.ts", &format!("-f lavfi -i testsrc2=size=320x180:rate=30 {sound} {X264}"));
    let options = OpenOptions { audio: true, ..options() };
    let mut input = Input::open(&address(&source), &options).unwrap();
    assert!(input.audio().unwrap().origin_us > 1_000_000);
    let path = folder.file("b.mp4");
    let settings = VideoSettings::new(320, 180, (30, 1));
    let audio = AudioTrack::Copy(input.audio().unwrap().clone());
    let mut writer = Mp4Writer::create(&path, &settings, audio).unwrap();
    let mut packets = 0;
    while let Some(packet) = input.read().unwrap() {
        match packet.kind() {
            PacketKind::Audio => {
                writer.write_packet(&packet).unwrap();
                packets += 1;
            }
            PacketKind::Video => writer.write_video(&picture(0)).unwrap(),
        }
    }
    writer.finish().unwrap();
    let mut copy = Input::open(&address(&path), &options).unwrap();
    assert_eq!((&*copy.audio().unwrap().codec, copy.video().frames), ("aac", Some(60)));
    let mut times = Vec::new();
    while let Some(packet) = copy.read().unwrap() {
        if packet.kind() == PacketKind::Audio {
            times.push(packet.pts().unwrap() as f64 * 1.0 / f64::from(packet.time_base().1));
        }
    }
    assert_eq!(times.len(), packets);
    assert!(times[0].abs() < 0.1 && (1.8..2.1).contains(times.last().unwrap()), "{times:?}");
}

#[test]
fn a_decoded_frame_can_be_drawn_on_whatever_its_layout() {
    let folder = Folder::new();
    let size = format!("{}x{}", SIZE.0, SIZE.1);
    let source = format!("-f lavfi -i testsrc2=size={size}:rate=30 -frames:v 1");
    let bt709 = "-vf scale=out_color_matrix=bt709:out_range=limited,setparams=colorspace=bt709";
    let reference = folder.make("r.mp4", &format!("{source} {bt709} -c:v libx264 -qp 1 -pix_fmt yuv420p"));
    let image = |path: &Path| {
        let Item::Frame(frame, _) = open(path).next_item() else { panic!("no frame") };
        YuvImage::from_frame(&frame).unwrap()
    };
    let reference = image(&reference);
    for (name, codec) in [
        ("a.png", "-pix_fmt rgb24".to_owned()),
        ("b.mp4", "-vf scale=out_color_matrix=bt601 -c:v libx264 -qp 1 -pix_fmt yuv420p".to_owned()),
        ("c.mp4", format!("{bt709} -c:v libx264 -qp 1 -pix_fmt yuv444p10le")),
        (
            "d.mp4",
            "-vf scale=out_color_matrix=bt601:out_range=full -c:v libx264 -qp 1 -pix_fmt yuvj420p".to_owned(),
        ),
    ] {
        let other = image(&folder.make(name, &format!("{source} {codec}")));
        assert_eq!((other.width, other.height), SIZE);
        let quality = psnr(&reference, &other);
        assert!(quality > 33.0, "{name}: {quality} dB");
    }
}

#[test]
fn what_cannot_be_written_is_refused() {
    let folder = Folder::new();
    let create =
        |path: &Path, settings: &VideoSettings| Mp4Writer::create(path, settings, AudioTrack::None).err();
    let odd = VideoSettings { width: 321, ..settings() };
    assert_eq!(create(&folder.file("a.mp4"), &odd).unwrap().kind(), ErrorKind::InvalidSettings);
    let error = create(&folder.file("no/such/folder.mp4"), &settings()).unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let mut writer = Mp4Writer::create(&folder.file("a.mp4"), &settings(), AudioTrack::None).unwrap();
    assert_eq!(writer.write_video(&YuvImage::new(64, 64)).unwrap_err().kind(), ErrorKind::InvalidSettings);
    let short = YuvImage { y: vec![0; 10], ..picture(0) };
    assert_eq!(writer.write_video(&short).unwrap_err().kind(), ErrorKind::InvalidSettings);
    assert_eq!(writer.write_audio(&[0.0]).unwrap_err().kind(), ErrorKind::InvalidSettings);
}
