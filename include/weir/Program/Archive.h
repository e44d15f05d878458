//===- Archive.h - torch.export archives (.pt2) ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A .pt2 file is a stored (uncompressed) zip with 64-byte aligned records:
//
//   archive_format, archive_version, byteorder
//   models/<name>.json                                the graph
//   data/weights/<name>_weights_config.json, weight_*  parameters and buffers
//   data/constants/<name>_constants_config.json, tensor_*
//   data/sample_inputs/<name>.pt
//
// possibly below one common top folder. The graph stays a JSON DOM, so that
// keys which this version does not know survive a rewrite.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_PROGRAM_ARCHIVE_H
#define WEIR_PROGRAM_ARCHIVE_H

#include "weir/Program/TensorSource.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/JSON.h"

#include <optional>

namespace weir {

/// One payload of the archive's weights or constants, as its config describes
/// it. `dtype` is the archive's own numbering (torch._export.serde.schema
/// .ScalarType), kept even where `DType` has no name for it.
struct ArchiveTensor {
  std::string record; ///< record that holds the bytes; tied weights share one
  bool isParameter = false;
  int64_t dtype = 0;
  llvm::SmallVector<int64_t, 4> sizes;
  llvm::SmallVector<int64_t, 4> strides; ///< in elements
  int64_t storageOffset = 0;             ///< in elements
  llvm::ArrayRef<std::byte> bytes;       ///< the whole record, mapped
  uint64_t fileOffset = 0; ///< where these bytes begin in the file
};

class InputFile;

class Archive {
public:
  /// Opens and checks an archive: zip structure, record bounds, byte order,
  /// archive version, schema major version, JSON depth, and for every payload
  /// that sizes, strides and offset stay inside its record. Pickled payloads
  /// are refused.
  static llvm::Expected<std::shared_ptr<Archive>> open(llvm::StringRef path);
  /// The same for a file that is open, such as one whose hash was compared.
  static llvm::Expected<std::shared_ptr<Archive>>
  open(std::shared_ptr<InputFile> file);
  /// The same for bytes that are in memory already; `owner` keeps them alive
  /// and `name` stands in the errors.
  static llvm::Expected<std::shared_ptr<Archive>>
  fromMemory(llvm::StringRef name, llvm::ArrayRef<std::byte> bytes,
             std::shared_ptr<const void> owner);
  virtual ~Archive() = default;

  virtual llvm::StringRef path() const = 0;
  /// The file that was opened; null for bytes that were in memory.
  virtual std::shared_ptr<InputFile> file() const = 0;
  /// All bytes of the archive.
  virtual llvm::ArrayRef<std::byte> bytes() const = 0;
  /// The exported program: {"graph_module": …, "schema_version": …, …}.
  virtual const llvm::json::Object &model() const = 0;
  /// Parameters and persistent buffers by fully qualified name.
  virtual const llvm::StringMap<ArchiveTensor> &weights() const = 0;
  /// Lifted tensor constants and non-persistent buffers.
  virtual const llvm::StringMap<ArchiveTensor> &constants() const = 0;
  /// Looks in weights, then in constants; null if there is none.
  const ArchiveTensor *find(llvm::StringRef fqn) const;
  /// Names of all records, in the file's order, without the common top folder.
  virtual llvm::ArrayRef<std::string> records() const = 0;
  /// The bytes of a record, mapped; an error if there is none of that name.
  /// They are as the file has them: whoever makes something of them that
  /// outlives the archive compares them with `verify` first.
  virtual llvm::Expected<llvm::ArrayRef<std::byte>>
  record(llvm::StringRef name) const = 0;
  /// Compares the bytes of a record with the checksum that the file keeps, once
  /// for each record. Errors: there is none of that name, it was damaged.
  virtual llvm::Error verify(llvm::StringRef name) const = 0;
  /// A record whose checksum is right.
  llvm::Expected<llvm::ArrayRef<std::byte>>
  verifiedRecord(llvm::StringRef name) const;
  /// The CRC-32 that the file keeps of a record.
  virtual llvm::Expected<uint32_t> checksum(llvm::StringRef name) const = 0;
  /// Lets the system drop pages of these bytes of a record, after a walk
  /// through them; they stay readable.
  virtual void releasePages(llvm::ArrayRef<std::byte> bytes) const = 0;
  /// Compares every record with its checksum. Opening does this only for the
  /// JSON: it would read all weights.
  virtual llvm::Error verify() const = 0;
  /// The name the archive gives its program, mostly "model".
  virtual llvm::StringRef modelName() const = 0;
};

/// An archive that outlives what is returned, as one that can be rewritten without
/// its tensors: it knows them by their names, but has no records of them. Errors:
/// configs that cannot be read.
llvm::Expected<std::unique_ptr<Archive>> withoutTensors(const Archive &archive);

/// A tensor to add to an archive when it is rewritten. Its bytes are made while
/// it is written.
struct AddedTensor {
  enum Kind { Parameter, Buffer, Constant } kind = Constant;
  std::string fqn;
  std::shared_ptr<const TensorSource> values;
};

/// A record to add, or to put in the place of the one of that name.
struct AddedRecord {
  std::string name; ///< such as "extra/weir.json"
  llvm::ArrayRef<std::byte> bytes;
};

/// Writes a copy of `source` to `path` (atomically) with another graph and with
/// added tensors. Records below data/ and models/ that belong neither to the
/// program nor to a tensor are left out: PyTorch would unpickle or load some of
/// them. Payload bytes go from the mapping to the file; no second copy
/// of the weights is made in memory. `path` may be the source's own path.
/// Errors: a name that is taken, a source that gives another number of bytes than
/// its sizes say or has an error of its own (passed on as it is), a record that is
/// the archive's own (graph, configs, version).
///
/// Tensors of the source that are among `dropped`, by their names, are left out,
/// and so are their bytes unless another one shares them.
llvm::Error rewriteArchive(const Archive &source, llvm::StringRef path,
                           const llvm::json::Object &model,
                           llvm::ArrayRef<AddedTensor> added,
                           llvm::ArrayRef<AddedRecord> records = {},
                           const llvm::StringSet<> &dropped = {});

/// The archive's number of a dtype, and back (none for types without a name
/// here, such as float8 or complex).
int64_t archiveDType(DType type);
std::optional<DType> dtypeOfArchive(int64_t number);

} // namespace weir

#endif // WEIR_PROGRAM_ARCHIVE_H
