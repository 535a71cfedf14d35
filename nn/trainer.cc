#include "nn/trainer.h"

#include <algorithm>
#include <cmath>

#include "runtime/clock.h"
#include "runtime/error.h"

namespace doppel {
namespace {

// AdaBelief's eps adds up in v, where the architectures' own, which are Adam's, would drown it (kernels/adam.h).
constexpr float kBeliefEps = 1e-12f;

// Mean colour of the middle of the face, 0..1: half of what the network sees, so that skin counts and not what is
// behind it. From at most a few hundred faces.
void mean_colour(const PersonFaces& person, int size, float inner, double* mean) {
  const int low = int(float(size) * (1 - inner / 2) / 2), high = size - low;
  const uint32_t stride = std::max(1u, person.faces / 256);
  double sum[3] = {}, count = 0;
  for (uint32_t f = 0; f < person.faces; f += stride)
    for (int y = low; y < high; ++y)
      for (int x = low; x < high; ++x) {
        const uint8_t* p = person.pixels + ((size_t(f) * size + y) * size + x) * 3;
        for (int c = 0; c < 3; ++c) sum[c] += p[c];
        ++count;
      }
  for (int c = 0; c < 3; ++c) mean[c] = sum[c] / count / 255;
}

}  // namespace

StepOptions step_options(const ModelDescription& model) {
  StepOptions options;
  options.arch = architecture(model.architecture);
  options.arch.warp.face_size = model.face_size;
  Warp& warp = options.arch.warp;
  for (float* strength : {&warp.rotation, &warp.zoom, &warp.shift, &warp.jitter, &warp.brightness, &warp.contrast})
    *strength *= model.warp;
  AdamOptions& adam = options.arch.adam;
  adam.belief = model.optimizer == "adabelief";
  if (adam.belief) adam.eps = kBeliefEps;
  adam.moved = 1 - model.lr_dropout;
  adam.clip_norm = model.clip;
  options.people = model.people;
  options.batch = model.batch;
  options.precision = model.precision == "bf16" ? DType::bf16 : DType::f32;
  return options;
}

Trainer::Trainer(ModelDescription model, const std::vector<PersonFaces>& people, TrainingEnd end, Device device,
                 StepSetup setup)
    : model_(std::move(model)), end_(end), stream_(device) {
  StepOptions options = step_options(model_);
  options.stream = stream_;
  options.recomputed = std::move(setup.recomputed);
  options.tuning = std::move(setup.tuning);
  arch_ = options.arch;
  const int count = int(people.size());
  model_.size = arch_.size;
  model_.inner = arch_.warp.inner;
  if (model_.colour_shift.empty()) {
    model_.colour_shift.assign(size_t(count) * 3, 0.f);
    if (arch_.match_means) {
      double target[3], own[3];
      mean_colour(people.back(), model_.face_size, model_.inner, target);
      for (int p = 0; p + 1 < count; ++p) {
        mean_colour(people[size_t(p)], model_.face_size, model_.inner, own);
        for (int c = 0; c < 3; ++c) model_.colour_shift[size_t(p * 3 + c)] = float(target[c] - own[c]);
      }
    }
  }
  std::vector<FaceStream::Set> streaming;
  for (int p = 0; p < count; ++p) {
    const PersonFaces& person = people[size_t(p)];
    faces_.pixels[p] = person.pixels;
    faces_.faces[p] = person.faces;
    if (person.streams) {
      streaming.push_back({p, person.faces, person.pixels});
    } else if (device != Device::cpu) {
      const size_t bytes = size_t(person.faces) * size_t(model_.face_size) * size_t(model_.face_size) * 3;
      face_memory_.emplace_back(bytes, device);
      upload(face_memory_.back().data(), person.pixels, bytes, stream_);
      faces_.pixels[p] = face_memory_.back().as<uint8_t>();
    }
    std::copy_n(&model_.colour_shift[size_t(p) * 3], 3, faces_.shift[p]);
  }
  if (!streaming.empty()) {
    Warp warp = arch_.warp;
    warp.batch = model_.batch;
    face_stream_ = std::make_unique<FaceStream>(std::move(streaming), warp, device);
    face_stream_->place(faces_);
  }

  const auto layout = declare_parameters(arch_, model_.people);
  store_ = make_store(layout, options.precision, arch_.adam.ema_decay > 0, stream_);
  step_ = std::make_unique<TrainingStep>(options, layout, &faces_);
  net_ = std::make_unique<Inference>(arch_, layout, model_.people, count * kPreviewRows, preview_precision(options));
  if (device != Device::cpu) preview_weights_ = PinnedBuffer(store_.best().bytes(), device);
  if (model_.iterations == 0) initialize(store_, model_.seed);
  driver_ = std::make_unique<StepDriver>(*step_, store_, count, stream_);
  const StepState start{model_.seed, model_.iterations, 0, 0};
  driver_->set_state(start);
  known_ = model_.iterations;
  smooth_.assign(size_t(count), 0.f);
  losses_.assign(size_t(count), {});

  // The preview's pictures: evenly spaced faces, cut as a converter would cut them.
  Warp plain;
  plain.people = plain.batch = 1;
  plain.face_size = model_.face_size;
  plain.out_size = arch_.size;
  plain.inner = model_.inner;
  plain.rotation = plain.zoom = plain.shift = plain.flip = plain.jitter = 0;
  const size_t pixels = size_t(arch_.size) * arch_.size * 3;
  preview_inputs_.resize(size_t(count));
  for (int p = 0; p < count; ++p)
    for (int r = 0; r < kPreviewRows; ++r) {
      const size_t face = size_t(double(faces_.faces[p]) * (r + 0.5) / kPreviewRows);
      WarpFaces one{};
      one.pixels[0] = people[size_t(p)].pixels + face * size_t(model_.face_size) * size_t(model_.face_size) * 3;
      one.faces[0] = 1;
      std::copy_n(faces_.shift[p], 3, one.shift[0]);
      std::vector<float> picture(pixels), target(pixels);
      warp_batch(picture.data(), target.data(), one, &start, plain, {});
      preview_inputs_[size_t(p)].push_back(std::move(picture));
    }
}

void Trainer::resume(const std::string& folder) {
  load_parameters(folder, store_, true);
  driver_->set_state({model_.seed, model_.iterations, 0, 0});
  smooth_ = model_.losses;
}

float Trainer::learning_rate() const {
  if (!arch_.decay) return model_.lr;
  constexpr float kWarmup = 50, kConstant = 0.6f, kFloor = 0.05f;
  double progress = 0;
  if (end_.iterations > 0) progress = double(model_.iterations) / double(end_.iterations);
  if (end_.minutes > 0) progress = std::max(progress, model_.seconds / (60 * end_.minutes));
  const float warm = std::min(1.f, float(model_.iterations + 1) / kWarmup);
  const double late = std::clamp((progress - kConstant) / (1 - kConstant), 0.0, 1.0);
  return model_.lr * warm * float(kFloor + (1 - kFloor) * 0.5 * (1 + std::cos(late * 3.14159265358979)));
}

void Trainer::step(bool checked) {
  const Clock::time_point start = Clock::now();
  if (face_stream_) face_stream_->stage(model_.seed, model_.iterations, stream_);
  driver_->start(learning_rate(), checked);
  ++model_.iterations;
  // Off the card the step has been done, and so are its losses.
  const int may_be_pending = stream_.device() == Device::cuda && !checked ? StepDriver::kLag : 0;
  while (driver_->pending() > may_be_pending) take_losses();
  model_.seconds += since(start);
}

void Trainer::settle() {
  const Clock::time_point start = Clock::now();
  while (driver_->pending() > 0) take_losses();
  model_.seconds += since(start);
}

void Trainer::take_losses() {
  const std::vector<TrainingStep::Loss> losses = driver_->take_losses();
  ++known_;
  if (!driver_->was_taken()) {
    ++left_out_;
    if (++left_out_in_a_row_ < kMostLeftOut) return;
    throw Error("the gradient has not been finite for " + std::to_string(kMostLeftOut) +
                " iterations in a row, up to " + std::to_string(known_) +
                "; none of them changed the model, and the last checkpoint stands: go on from it with a smaller --lr, "
                "or with --precision fp32");
  }
  left_out_in_a_row_ = 0;
  losses_ = losses;
  for (size_t p = 0; p < losses_.size(); ++p) {
    if (!std::isfinite(losses_[p].total))
      throw Error("the loss of " + model_.people[p] + " is not finite at iteration " + std::to_string(known_) +
                  "; the last checkpoint stands: go on from it with a smaller --lr, or with --precision fp32");
    smooth_[p] += (losses_[p].l1 - smooth_[p]) * std::max(0.01f, 1 / float(known_));
  }
}

bool Trainer::finished() const {
  return (end_.iterations > 0 && model_.iterations >= end_.iterations) ||
         (end_.minutes > 0 && model_.seconds >= 60 * end_.minutes);
}

const ModelDescription& Trainer::settled() {
  settle();
  model_.losses = smooth_;
  return model_;
}

void Trainer::save(const std::string& folder) {
  save_model(folder, settled(), saved_state(store_));
}

void Trainer::save(CheckpointWriter& writer) {
  writer.write(settled(), store_);
}

void Trainer::begin_save(CheckpointWriter& writer) {
  writer.begin(settled(), store_);
}

Image Trainer::preview() {
  return begin_preview()();
}

std::function<Image()> Trainer::begin_preview() {
  const Buffer& weights = store_.best();
  if (stream_.device() == Device::cpu) {
    net_->set_weights(weights.as<float>());
    return [image = draw_preview(*net_, preview_inputs_, arch_.size)] { return image; };
  }
  download(preview_weights_.as<float>(), weights.data(), weights.bytes(), stream_);
  wait(stream_);
  return [this] {
    net_->set_weights(preview_weights_.as<float>());
    return draw_preview(*net_, preview_inputs_, arch_.size);
  };
}

}  // namespace doppel
