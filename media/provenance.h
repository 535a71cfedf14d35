// Says in a file that it is synthetic, in the place where the IPTC's photo metadata standard and C2PA-aware programs
// look: an XMP packet with Iptc4xmpExt:DigitalSourceType.
//
// Where the packet goes (Adobe, XMP specification part 3: storage in files):
//   PNG   an iTXt chunk "XML:com.adobe.xmp" before the first IDAT
//   JPEG  an APP1 segment "http://ns.adobe.com/xap/1.0/\0"
//   MP4, MOV  a top-level uuid box BE7ACFCB-97A9-42E8-9C71-999491E3AFAC, the file's last
//   MKV   tags DIGITAL_SOURCE_TYPE and XMP (no standard names a place there)
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace doppel {

enum class SourceType {
  composite,  // a camera's picture into which learned pixels were put
  generated,  // no camera: rendered by a program
};

// http://cv.iptc.org/newscodes/digitalsourcetype/...
std::string digital_source_type(SourceType type);

// "doppel <version>"
std::string creator_tool();

std::string xmp_packet(SourceType type);

// The picture's bytes with the mark in them. Throws Error for bytes that are neither PNG nor JPEG.
std::string mark_picture(std::string_view bytes, SourceType type);

// Appends the mark to a finished MP4 or MOV file; nothing that is in it moves. Throws Error.
void mark_mp4(const std::string& path, SourceType type);

struct Provenance {
  std::string source_type;   // the URI in the file
  std::string creator_tool;  // "" where the file does not say
  bool ours() const { return creator_tool.rfind("doppel ", 0) == 0; }
};

// What a PNG, JPEG, MP4, MOV or MKV file says of itself; empty when it says nothing or is another kind of file. Throws
// Error when it cannot be read.
std::optional<Provenance> read_provenance(const std::string& path);

}  // namespace doppel
