//! Pixel formats, colours, sizes, rotation, images.

use kinora_media::{Chroma, ColorMatrix, ColorRange, Frame, PixelLayout};

use super::support::*;

fn first(path: &std::path::Path) -> Frame {
    let all = read_all(&mut open(path));
    assert_eq!(all.error, None);
    all.frames.into_iter().next().unwrap().0
}

fn planar(chroma: Chroma, bits: u8) -> PixelLayout {
    PixelLayout::Planar { chroma, bits }
}

#[test]
fn common_layouts_come_through_and_rare_ones_are_converted() {
    let folder = Folder::new();
    for (name, codec, layout) in [
        ("a.mp4", "-c:v libx264 -pix_fmt yuv420p10le", planar(Chroma::C420, 10)),
        ("b.mp4", "-c:v libx264 -pix_fmt yuv422p", planar(Chroma::C422, 8)),
        ("c.mp4", "-c:v libx264 -pix_fmt yuv444p", planar(Chroma::C444, 8)),
        ("d.mp4", "-c:v libx264rgb -pix_fmt rgb24", PixelLayout::Rgb24),
        ("e.avi", "-c:v ffv1 -pix_fmt gray", PixelLayout::Gray8),
        ("f.nut", "-c:v rawvideo -pix_fmt nv12", PixelLayout::SemiPlanar { chroma: Chroma::C420, bits: 8 }),
        ("h.nut", "-c:v rawvideo -pix_fmt nv21", planar(Chroma::C420, 8)),
        ("i.nut", "-c:v rawvideo -pix_fmt yuyv422", planar(Chroma::C420, 8)),
        ("j.nut", "-c:v rawvideo -pix_fmt yuv411p", planar(Chroma::C420, 8)),
        ("k.nut", "-c:v rawvideo -pix_fmt bgra", PixelLayout::Rgb24),
        ("l.nut", "-c:v rawvideo -pix_fmt yuv420p16be", planar(Chroma::C420, 8)),
        ("m.gif", "", PixelLayout::Rgb24),
        // Stored bottom up.
        ("n.avi", "-c:v rawvideo -pix_fmt bgr24", PixelLayout::Rgb24),
        ("o.avi", "-c:v ffv1 -pix_fmt yuv410p", planar(Chroma::C420, 8)),
    ] {
        let clip = folder.make(name, &format!("{} {codec}", source(3)));
        let frame = first(&clip);
        assert_eq!(frame.layout(), layout, "{name}");
        fingerprint(&frame);
    }
}

#[test]
fn conversion_keeps_the_picture_upright_and_its_colours() {
    let folder = Folder::new();
    // Red above, blue below.
    let graph = "-f lavfi -i color=red:size=64x32:rate=1 -f lavfi -i color=blue:size=64x32:rate=1 -lavfi vstack -frames:v 1";
    for (name, codec) in [
        ("a.png", "-pix_fmt rgba"),
        ("b.png", "-pix_fmt pal8"),
        ("c.avi", "-c:v rawvideo -pix_fmt bgr24"),
        ("d.bmp", ""),
        ("e.mp4", "-c:v libx264rgb -qp 0 -pix_fmt bgr24"),
    ] {
        let frame = first(&folder.make(name, &format!("{graph} {codec}")));
        assert_eq!((frame.layout(), frame.width(), frame.height()), (PixelLayout::Rgb24, 64, 64), "{name}");
        let plane = frame.plane(0).unwrap();
        let pixel =
            |x: usize, y: usize| <[u8; 3]>::try_from(&plane.data[y * plane.stride + 3 * x..][..3]).unwrap();
        // ffmpeg's fixed palette has no full blue.
        let [red, blue] = [pixel(5, 3), pixel(60, 60)];
        assert!(red[0] > 160 && red[1] < 4 && red[2] < 4, "{name}: {red:?}");
        assert!(blue[0] < 4 && blue[1] < 4 && blue[2] > 160, "{name}: {blue:?}");
    }
}

#[test]
fn odd_sizes_have_rounded_chroma() {
    let folder = Folder::new();
    let source = "-f lavfi -i testsrc=size=63x47:rate=5 -frames:v 3";
    let frame = first(&folder.make("a.avi", &format!("{source} -c:v ffv1 -pix_fmt yuv420p")));
    assert_eq!((frame.width(), frame.height()), (63, 47));
    assert_eq!(frame.plane(1).unwrap().rows, 24);
    assert!(frame.plane(1).unwrap().stride >= 32);
    assert!(frame.plane(3).is_none());
    // H.264 crops: the planes begin inside a larger coded picture.
    let frame = first(&folder.make("b.mp4", &format!("{source} -vf crop=62:46 {X264}")));
    assert_eq!((frame.width(), frame.height()), (62, 46));
    fingerprint(&frame);
}

#[test]
fn colours_are_as_tagged_or_as_usual_for_the_size() {
    let folder = Folder::new();
    let small = "-f lavfi -i testsrc2=size=128x96:rate=5 -frames:v 1";
    let large = "-f lavfi -i testsrc2=size=1280x720:rate=5 -frames:v 1";
    let tag = "-vf setparams=colorspace";
    for (name, arguments, colours) in [
        ("a.mp4", format!("{small} {X264}"), (ColorRange::Limited, ColorMatrix::Bt601)),
        ("b.mp4", format!("{large} {X264}"), (ColorRange::Limited, ColorMatrix::Bt709)),
        ("c.mp4", format!("{small} {tag}=bt709 {X264}"), (ColorRange::Limited, ColorMatrix::Bt709)),
        ("d.mp4", format!("{large} {tag}=smpte170m {X264}"), (ColorRange::Limited, ColorMatrix::Bt601)),
        ("e.mp4", format!("{small} {tag}=bt2020nc {X264}"), (ColorRange::Limited, ColorMatrix::Bt2020)),
        ("f.mp4", format!("{small} -c:v libx264 -pix_fmt yuvj420p"), (ColorRange::Full, ColorMatrix::Bt601)),
        ("g.jpg", format!("{small} -pix_fmt yuvj420p"), (ColorRange::Full, ColorMatrix::Bt601)),
    ] {
        let frame = first(&folder.make(name, &arguments));
        assert_eq!((frame.color_range(), frame.color_matrix()), colours, "{name}");
    }
}

#[test]
fn an_image_is_one_frame() {
    let folder = Folder::new();
    for (name, layout) in [
        ("a.png", PixelLayout::Rgb24),
        ("a.jpg", planar(Chroma::C420, 8)),
        ("a%d b.jpg", planar(Chroma::C420, 8)),
        ("a.bmp", PixelLayout::Rgb24),
        ("a.webp", planar(Chroma::C420, 8)),
    ] {
        let arguments = format!("{} -update 1 -pix_fmt", source(1));
        let format = if name.ends_with("png") || name.ends_with("bmp") { "rgb24" } else { "yuv420p" };
        let format = if name.ends_with("bmp") { "bgr24" } else { format };
        let plain = folder.make(&name.replace('%', "_"), &format!("{arguments} {format}"));
        std::fs::rename(plain, folder.file(name)).unwrap();
        let all = read_all(&mut open(&folder.file(name)));
        assert_eq!((all.account.received, all.account.frames, all.error), (1, 1, None), "{name}");
        assert_eq!(all.frames[0].0.layout(), layout, "{name}");
    }
}

#[test]
fn a_change_of_size_in_mid_stream_gives_frames_of_the_new_size() {
    let folder = Folder::new();
    let part = |size: &str| {
        let source = format!("-f lavfi -i testsrc2=size={size}:rate=30 -frames:v 20");
        std::fs::read(folder.make("part.ts", &format!("{source} {X264}"))).unwrap()
    };
    let both = [part("320x240"), part("640x480"), part("176x144")].concat();
    let all = read_all(&mut open(&folder.write("both.ts", &both)));
    let sizes: Vec<_> = all.frames.iter().map(|(frame, _)| (frame.width(), frame.height())).collect();
    assert_eq!(sizes.len(), 60, "{:?}", all.lost);
    assert_eq!(
        (sizes[19], sizes[20], sizes[39], sizes[40]),
        ((320, 240), (640, 480), (640, 480), (176, 144))
    );
}

#[test]
fn rotation_is_told_clockwise() {
    let folder = Folder::new();
    let clip = folder.clip("a.mp4", 5);
    // In FFmpeg 5.1 the tag `rotate` turns counter-clockwise: `rotate=90` is shown as by `transpose=cclock`.
    for (tag, degrees) in [(0, 0), (90, 270), (180, 180), (270, 90)] {
        let turned = folder.make(
            &format!("r{degrees}.mp4"),
            &format!("-i {} -c copy -metadata:s:v rotate={tag}", clip.display()),
        );
        let reader = open(&turned);
        assert_eq!(reader.input().video().rotation, degrees);
        assert_eq!(first(&turned).rotation(), degrees);
    }
}

#[test]
fn a_cover_picture_is_no_video() {
    let folder = Folder::new();
    let cover = folder.make("cover.jpg", &format!("{} -pix_fmt yuvj420p", source(1)));
    let sound = "-f lavfi -i sine=duration=1";
    let map = "-map 0 -map 1 -c:v copy -disposition:v attached_pic";
    let mp3 = folder.make("a.mp3", &format!("{sound} -i {} {map}", cover.display()));
    let error = open_error(&mp3);
    assert!(error.to_string().contains("cover picture"), "{error}");
}
