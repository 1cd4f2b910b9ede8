"""Does a detector miss defects, and which? Its recall by what defects are like, and where images change."""
