// The sequence models on a CPU, forwards and backwards: what lapg_rl/models says in JAX, in one pass that stays in the caches.

#include "adam.h"
#include "gru.h"
#include "hawk.h"
#include "lanes.h"
#include "linear.h"
#include "threefry.h"
#include "transformer.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

// One call for each element of the axes that vmap has put before all arrays; those of size 1 are the same for all.
//
// `ranks` of the inputs without those axes. The first `rows` inputs hold sequences, the others weights: where there is one step of
// one sequence, the last axes along which no weight varies become the axis of sequences, if all outputs ROWS are of sequences.
template <void (*KERNEL)(const Call&), bool ROWS, ffi::DataType TYPE>
ffi::Error over_axes(ffi::RemainingArgs args, ffi::RemainingRets rets, ffi::Span<const Int> ranks, ffi::Span<const Int> sizes,
                     Int rows) {
  struct Array {
    float* data;
    ffi::Span<const Int> dims;
    Int size;
  };
  std::vector<Array> in, out;
  for (size_t i = 0; i < args.size() + rets.size(); ++i) {
    const bool given = i < args.size();
    const ffi::AnyBuffer buffer = given ? args.get<ffi::AnyBuffer>(i).value() : *rets.get<ffi::AnyBuffer>(i - args.size()).value();
    if (buffer.element_type() != TYPE) return ffi::Error::InvalidArgument("the native kernels take float32, threefry uint32 only");
    (given ? in : out).push_back({static_cast<float*>(buffer.untyped_data()), buffer.dimensions(), 1});
  }
  const Int axes = Int(in[0].dims.size()) - ranks[0];
  std::vector<Int> shape(axes, 1), mine(sizes.begin(), sizes.end());
  for (auto* arrays : {&in, &out})
    for (Array& x : *arrays)
      for (Int i = 0; i < Int(x.dims.size()); ++i)
        if (i >= axes) x.size *= x.dims[i];
        else if (x.dims[i] != 1) shape[i] = x.dims[i];
  Int loops = axes, together = 1, count = 1;
  for (; ROWS && sizes[0] == 1 && sizes[1] == 1 && loops; --loops) {
    bool fits = true;
    for (Int a = 0; a < Int(in.size()); ++a) fits = fits && in[a].dims[loops - 1] == (a < rows ? shape[loops - 1] : 1);
    if (!fits) break;
    together *= shape[loops - 1];
  }
  if (ROWS) mine[1] *= together;
  for (Int i = 0; i < loops; ++i) count *= shape[i];
  std::vector<const float*> from(in.size());
  std::vector<float*> to(out.size());
  for (Int index = 0; index < count; ++index) {
    for (Int a = 0; a < Int(in.size()); ++a) {
      Int place = 0;
      for (Int i = 0, inner = count; i < loops; ++i) {
        inner /= shape[i];
        if (in[a].dims[i] > 1) place = place * shape[i] + index / inner % shape[i];
      }
      from[a] = in[a].data + place * in[a].size * (a < rows ? together : 1);
    }
    for (Int a = 0; a < Int(out.size()); ++a) to[a] = out[a].data + index * together * out[a].size;
    KERNEL({mine.data(), from.data(), to.data()});
  }
  return ffi::Error::Success();
}

}  // namespace

#define EXPORT_OF(type, name, kernel, rows)                                   \
  XLA_FFI_DEFINE_HANDLER_SYMBOL(lapg_##name, (over_axes<kernel, rows, type>), \
                                ffi::Ffi::Bind()                              \
                                    .RemainingArgs()                          \
                                    .RemainingRets()                          \
                                    .Attr<ffi::Span<const Int>>("ranks")      \
                                    .Attr<ffi::Span<const Int>>("sizes")      \
                                    .Attr<Int>("rows"))
#define EXPORT(name, kernel, rows) EXPORT_OF(ffi::F32, name, kernel, rows)

EXPORT(adam, adam, false);
EXPORT(gru, gru_forward<false>, true);
EXPORT(gru_kept, gru_forward<true>, false);
EXPORT(gru_back, gru_backward, false);
EXPORT(embed, embed_forward, true);
EXPORT(embed_back, embed_backward, false);
EXPORT(project, project_forward, true);
EXPORT(project_back, project_backward, false);
EXPORT(hawk, hawk_forward<false>, true);
EXPORT(hawk_kept, hawk_forward<true>, false);
EXPORT(hawk_back, hawk_backward, false);
EXPORT(transformer, transformer_forward<false>, true);
EXPORT(transformer_kept, transformer_forward<true>, false);
EXPORT(transformer_back, transformer_backward, false);
EXPORT(transformer_step, transformer_step, true);
EXPORT_OF(ffi::U32, threefry, threefry, false);
