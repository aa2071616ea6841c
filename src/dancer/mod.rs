//! The test dancer: a drawn person whose joints are known, for demonstrations and as ground truth in tests.
//!
//! A frame is a pure function of its number and the settings: the same bytes on every machine, in any order, from any
//! thread. The figure is built anew for each frame (choreography, skeleton, lofted surfaces) and rasterised straight
//! into planar 4:2:0. Nothing here knows of video files, networks or the pipeline.

pub(crate) mod audio;
mod backdrop;
mod body;
mod camera;
mod choreography;
mod facet;
mod hand;
mod head;
mod landmarks;
mod loft;
mod material;
mod math;
mod picture;
mod raster;
mod skeleton;
pub(crate) mod strip;

pub(crate) use landmarks::{LANDMARK_NAMES, LANDMARKS};
pub(crate) use picture::Yuv420;

use camera::Camera;
use choreography::Pose;
use loft::Mesh;
use material::Palette;
use skeleton::{SIDES, Skeleton};

/// Length of the dance in seconds; then it begins again.
pub(crate) const PERIOD_S: u64 = choreography::PERIOD_S;

/// What a dancer is to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Width of the picture in pixels, 2 or more.
    pub(crate) width: usize,
    /// Height of the picture in pixels, 2 or more.
    pub(crate) height: usize,
    /// Frames in a second, as numerator and denominator; zeros count as one.
    pub(crate) fps: (u32, u32),
    /// Chooses the cast (four of them) and the noise. The dance is the same for all.
    pub(crate) seed: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { width: 1920, height: 1080, fps: (60, 1), seed: 0 }
    }
}

/// A dancer in a studio, ready to be drawn at any frame. Drawing needs no mutable state: share it among threads.
#[derive(Debug)]
pub(crate) struct Dancer {
    settings: Settings,
    camera: Camera,
    palette: Palette,
    studio: Yuv420,
    grain: Vec<i8>,
}

impl Dancer {
    /// Prepares the studio. Sizes below 2 are raised to 2.
    pub(crate) fn new(settings: Settings) -> Self {
        let (width, height) = (settings.width.max(2), settings.height.max(2));
        let fps = (settings.fps.0.max(1), settings.fps.1.max(1));
        let camera = Camera::new(width, height);
        let palette = Palette::of_seed(settings.seed);
        let studio = backdrop::studio(&camera, width, height, &palette, settings.seed);
        let settings = Settings { width, height, fps, ..settings };
        Self { settings, camera, palette, studio, grain: backdrop::grain(settings.seed) }
    }

    /// The picture of a frame, with the frame's number in its strip.
    pub(crate) fn render(&self, frame: u64) -> Yuv420 {
        let mut picture = Yuv420::new(self.settings.width, self.settings.height);
        self.render_into(frame, &mut picture);
        picture
    }

    /// Draws a frame over `picture`, which takes the dancer's size if it has another one.
    ///
    /// The strip holds the low 32 bits of the frame's number.
    pub(crate) fn render_into(&self, frame: u64, picture: &mut Yuv420) {
        picture.clone_from(&self.studio);
        let skeleton = Skeleton::new(&self.pose(frame));
        backdrop::cast_shadow(&self.camera, &skeleton, picture);
        let look = raster::Look { palette: &self.palette, blink: choreography::blink(self.seconds(frame)) };
        raster::draw(&self.figure(&skeleton), look, picture);
        backdrop::add_grain(&self.grain, frame, picture);
        strip::draw(picture, frame as u32);
    }

    /// Where the 33 landmarks truly are in a frame, as fractions of its width and height, in the order of
    /// [`LANDMARK_NAMES`].
    pub(crate) fn truth(&self, frame: u64) -> [[f32; 2]; LANDMARKS] {
        let (width, height) = (self.settings.width as f32, self.settings.height as f32);
        landmarks::landmarks(&Skeleton::new(&self.pose(frame))).map(|place| {
            let p = self.camera.project(place);
            [p.x / width, p.y / height]
        })
    }

    /// Seconds since the start of the loop.
    fn seconds(&self, frame: u64) -> f64 {
        let (num, den) = (u64::from(self.settings.fps.0), u64::from(self.settings.fps.1));
        // After `PERIOD_S * num` frames a whole number of loops has passed, whatever the denominator.
        (frame % (PERIOD_S * num) * den) as f64 / num as f64
    }

    fn pose(&self, frame: u64) -> Pose {
        choreography::pose(self.seconds(frame))
    }

    fn figure(&self, skeleton: &Skeleton) -> Mesh {
        let mut mesh = Mesh::new(self.camera);
        body::build(&mut mesh, skeleton);
        head::build(&mut mesh, skeleton);
        for (arm, side) in skeleton.arms.iter().zip(SIDES) {
            hand::build(&mut mesh, arm, side);
        }
        mesh
    }
}

#[cfg(test)]
mod tests;
