"""Stream decoded video frames by exact index, without blocking asyncio."""
